"""Why settings of LiteLLM have nothing like them here, and which ones are so here anyway."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final


def _each(names: str, why: str) -> dict[str, str]:
    """One reason for several settings."""
    return dict.fromkeys(names.split(), why)


CALLBACKS: Final = "events are told to listeners, logs and /metrics: there are no other callbacks"
ERRORS: Final = "which errors count, and which are retried, is data here, by class of error"

DEPLOYMENT: Final[Mapping[str, str]] = {
    **_each(
        "temperature top_p top_k stop seed n presence_penalty frequency_penalty logit_bias "
        "extra_body reasoning_effort thinking response_format tools tool_choice user "
        "max_completion_tokens",
        "what a request says is its caller's: a deployment has no defaults for it here",
    ),
    **_each(
        "aws_access_key_id aws_secret_access_key aws_session_token aws_region_name aws_role_name "
        "vertex_project vertex_location vertex_credentials",
        "belongs to a provider that has no adapter here",
    ),
    **_each("metadata description litellm_provider db_model created_at", "nobody reads it here"),
    **_each(
        "max_budget budget_duration", "budgets are of a provider, not of a model: `[[budgets]]`"
    ),
    "base_model": "prices stand under `price`, and are found by the model's own name",
    "id": "endpoints are named provider/model",
    "mock_response": "a request may say `mock_response`, a provider of kind local has `reply`",
    "access_groups": "which models a key may ask for stands at the key: `gateway.keys.NAME.models`",
    "use_in_pass_through": "nothing is passed through unread",
    "api_version": "this side of the provider needs none",
    "region_name": "it is no name of a region",
}
"""Settings of an entry of the model list."""

SECTIONS: Final[Mapping[str, str]] = {
    **_each(
        "failure_callback service_callbacks langfuse_default_tags callback_settings", CALLBACKS
    ),
    **_each(
        "redis_host redis_port redis_password redis_db redis_url redis_ssl cache_kwargs client_ttl "
        "caching_groups cache_responses",
        "each process keeps its own limits and breakers",
    ),
    **_each(
        "database_url store_model_in_db database_type",
        "keys and budgets stand in the configuration; `[store]` keeps what was spent",
    ),
    **_each("allowed_fails_policy model_group_retry_policy", ERRORS),
    **_each(
        "alerting alerting_threshold alert_types alerting_args alert_to_webhook_url",
        "who is told of troubles stands under `[[alerts]]`, which is not written by itself",
    ),
    **_each(
        "max_internal_user_budget internal_user_budget_duration default_team_settings "
        "upperbound_key_generate_params default_internal_user_params key_generation_settings "
        "max_end_user_budget",
        'nobody makes keys at run time by it: budgets of users are `[[budgets]]` with user = "*"',
    ),
    **_each("set_verbose debug_level", "the log's level is `log.level`"),
    "routing_strategy_args": "strategies have no arguments here",
    "assistants_config": "there are no assistants",
    "custom_auth": "keys stand under `gateway.keys`",
    "completion_model": "a request that names `auto` is served by anybody",
    "ui_access_mode": "there is no such page",
    "pass_through_endpoints": "nothing is passed through unread",
    "tag_filtering_match_any": "a request that names tags needs all of them",
    "health_check_interval": "belongs to `background_health_checks`",
    "budget_duration": "belongs to `max_budget`",
    "cache_params": "belongs to `cache`",
    "retry_after": "waits grow from `retry.base`",
    "default_priority": "the usual priority of a request is 0",
    "polling_interval": "whoever waits is told, and does not ask",
    "max_fallbacks": "`max_attempts` bounds all attempts of a request",
}
"""Settings of the other sections."""

ALWAYS: Final[Mapping[str, str]] = {
    **_each(
        "turn_off_message_logging redact_messages_in_exceptions store_prompts_in_spend_logs",
        "no prompt and no answer is ever logged or stored",
    ),
    **_each("redact_user_api_key_info disable_master_key_return", "no key is ever shown"),
    **_each(
        "enable_pre_call_checks enable_pre_call_check",
        "windows and limits are checked before every call",
    ),
    **_each(
        "disable_spend_logs database_connection_pool_limit database_connection_timeout",
        "single requests are in no database",
    ),
    "telemetry": "nothing is ever sent anywhere",
    "drop_params": "fields that a target does not know stay out",
    "enable_tag_filtering": "a request that names tags is served by who carries all of them",
}
"""What is so here whatever is said."""
