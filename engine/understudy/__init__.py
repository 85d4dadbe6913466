"""understudy: the failover core you can prove.

`open_engine` opens an engine, `Request` says what is wanted, `Result` is what comes back. Importing
this starts nothing, reads nothing and configures nothing.
"""

from understudy.accounts.reports import (
    Costs,
    DayUsage,
    ProviderCosts,
    TopModel,
    TopSpender,
    TopUser,
)
from understudy.adapters.base import (
    Adapter,
    CallAdapter,
    Reader,
    Reply,
    StreamingAdapter,
    Target,
    WireAdapter,
)
from understudy.agent.agent import LongRunningAgent
from understudy.agent.errors import AgentLimit, TaskCompacted, TaskCrashed
from understudy.agent.handle import Handle
from understudy.agent.records import Checkpoint, TaskRecord
from understudy.agent.status import AgentStatus
from understudy.cache.shelf import CacheStats
from understudy.choice import Choice, Fallback
from understudy.config import Config, ProviderConfig
from understudy.differences import Reloaded
from understudy.engine import Engine
from understudy.inspection import TestReport
from understudy.lifecycle import open_engine
from understudy.models import RoutableModel
from understudy.projecting import BudgetProjection
from understudy.reports import ProviderHealth, StatusReport
from understudy.routing.explain import Explanation
from understudy.secret import Secret
from understudy.spending import BudgetStanding
from understudy.streaming.stream import ChatStream
from understudy_actors.dispatcher.strategies import Strategy, View
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.delta import Delta, TextDelta, ToolCallDelta, UsageDelta
from understudy_actors.domain.errors import (
    AdapterFailed,
    AllAttemptsFailed,
    AttemptTimeout,
    AuthenticationFailed,
    BadRequest,
    ConfigError,
    ConnectionFailed,
    ContentRefused,
    ContextTooLong,
    CreditExhausted,
    InternalError,
    InvalidRequest,
    MalformedResponse,
    ModelNotFound,
    NoCandidate,
    NotCached,
    OverBudget,
    Overloaded,
    OverMaxCost,
    PermissionDenied,
    ProviderError,
    ProviderOverloaded,
    RateLimited,
    ServerFailed,
    ShuttingDown,
    StoreFailed,
    StreamBroken,
    UnderstudyError,
)
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import (
    Caching,
    Complexity,
    ImageFile,
    ImagePart,
    Message,
    Request,
    TextPart,
    Tool,
    ToolCall,
)
from understudy_actors.domain.result import (
    Attempt,
    ChatOutput,
    EmbeddingOutput,
    Image,
    ImageOutput,
    Result,
    Usage,
)

__all__ = [
    # opening and asking
    "open_engine", "Engine", "Request", "Message", "TextPart", "ImagePart", "Tool", "ToolCall",
    "ImageFile", "Complexity", "Caching",
    # what comes back
    "Result", "Attempt", "Usage", "ChatOutput", "EmbeddingOutput", "ImageOutput", "Image",
    "Choice", "Fallback", "Explanation", "StatusReport", "ProviderHealth", "TestReport",
    "BudgetProjection", "BudgetStanding", "CacheStats", "RoutableModel", "Reloaded",
    "Costs", "ProviderCosts", "TopModel", "TopUser", "TopSpender", "DayUsage",
    # tasks that outlive the process
    "LongRunningAgent", "Handle", "AgentStatus", "Checkpoint", "TaskRecord",
    "AgentLimit", "TaskCrashed", "TaskCompacted",
    # answers piece by piece
    "ChatStream", "Delta", "TextDelta", "ToolCallDelta", "UsageDelta",
    # what can go wrong
    "UnderstudyError", "ConfigError", "InvalidRequest", "NoCandidate", "OverMaxCost",
    "OverBudget", "NotCached", "AllAttemptsFailed", "StreamBroken", "Overloaded", "ShuttingDown",
    "StoreFailed", "ProviderError",
    "AuthenticationFailed", "PermissionDenied", "CreditExhausted", "RateLimited",
    "ProviderOverloaded", "ContextTooLong", "ContentRefused", "ModelNotFound", "BadRequest",
    "AttemptTimeout", "ConnectionFailed", "ServerFailed", "MalformedResponse", "AdapterFailed",
    "InternalError", "ErrorClass",
    # configuring and extending
    "Config", "ProviderConfig", "Secret", "Adapter", "WireAdapter", "CallAdapter",
    "StreamingAdapter", "Reader", "Reply", "Target", "Strategy", "View", "Candidate",
]  # fmt: skip
