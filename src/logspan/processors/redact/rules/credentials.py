"""Credentials by their shape, whoever made them: tokens that decode, headers, private keys, addresses with a password."""

from __future__ import annotations

from logspan.processors.redact.rule import Rule

CREDENTIAL_RULES: tuple[Rule, ...] = (
    Rule(
        "jwt",
        "pattern",
        pattern=r"(?:^|[^A-Za-z0-9+/])(ey[IJ][A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{2,}(?:\.[A-Za-z0-9_-]*){0,3})",
        hint=r"ey[IJ][A-Za-z0-9_-]{8}",
    ),
    Rule("bearer", "parser", parser="bearer", hint=r"(?i)bearer"),
    Rule("basic-auth", "parser", parser="basic", hint=r"(?i)\bbasic[ :=+%]"),
    Rule(
        "auth-scheme",
        "parser",
        parser="scheme",
        hint=r"(?i)(?:authorization|x-auth)|\b(?:digest|negotiate|ntlm|token|apikey|aws4-hmac-sha256) ",
    ),
    Rule(
        "pem-private-key",
        "parser",
        parser="pem",
        hint=r"-----BEGIN|BEGIN [A-Z ]{0,24}PRIVATE|PuTTY-User-Key-File|AAAAB3NzaC1|b3BlbnNzaC1rZXk",
    ),
    Rule("url-password", "parser", parser="userinfo", hint=r"(?:://|//|%3[aA]%2[fF]%2[fF]).*@|:[^\s@]+@"),
    Rule("url-secret", "parser", parser="query", hint=r"[?&#;][A-Za-z0-9_.%$-]{1,40}="),
    Rule(
        "webhook",
        "pattern",
        pattern=r"(?i)(?:hooks\.slack\.com/(?:services|workflows|triggers)"
        r"|discord(?:app)?\.com/api/(?:v[0-9]{1,2}/)?webhooks"
        r"|[a-z0-9.-]{1,64}webhook\.office\.com/webhookb2|outlook\.office(?:365)?\.com/webhook"
        r"|hooks\.zapier\.com/hooks/catch|maker\.ifttt\.com/trigger/[\w-]{1,64}/(?:json/)?with/key"
        r"|hook\.(?:[a-z0-9]{2,4}\.)?(?:make|integromat)\.com|webhook\.site|api\.telegram\.org/bot"
        r"|events\.pagerduty\.com/integration|open\.(?:feishu\.cn|larksuite\.com)/open-apis/bot/v2/hook"
        r"|hooks\.(?:chime\.aws|airtable\.com)/[a-z]{1,20}|alertmanager-webhook\.[a-z.]{1,30}"
        r"|rocket\.chat/hooks|mattermost\.[a-z.-]{1,40}/hooks|chat\.googleapis\.com/v1/spaces/[\w-]{1,40}/messages)"
        r"/?([^\s\"'<>\\)\]},|]{8,})",
        hint=r"(?i)hook|/trigger/|telegram\.org/bot|events\.pagerduty\.com|chat\.googleapis\.com",
    ),
    Rule(
        "command-line",
        "parser",
        parser="command",
        hint=r"(?i)\bcurl\b|\bwget\b|--?[a-z-]*(?:pass|user|token|key|secret|pwd)|\bmysql|sshpass|\s-p|\bdocker login|\bhtpasswd|\bhttpie?\b",
    ),
    Rule("sql", "parser", parser="sql", hint=r"(?i)insert\s+into|identified\s+by|\bpassword\s*\(?\s*'"),
    Rule(
        "generic-token",
        "pattern",
        pattern=r"(?:^|[^A-Za-z0-9_])[a-z][a-z0-9]{1,14}[_-](?:live|prod|secret|sk|pat|key|token|api|apikey|tok)[_-]([A-Za-z0-9]{20,})",
        hint=r"[_-](?:live|prod|secret|sk|pat|key|token|api|apikey|tok)[_-][A-Za-z0-9]{6}",
        validator="random",
    ),
    Rule(
        "storage-key",
        "pattern",
        pattern=r"(?:^|[^A-Za-z0-9+/])([A-Za-z0-9+/]{86}==)",
        hint=r"[A-Za-z0-9+/]{8}==",
        validator="random",
    ),
    Rule(
        "azure-client-secret",
        "pattern",
        pattern=r"(?:^|[^A-Za-z0-9_~.-])([A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34})",
        hint=r"[0-9]Q~",
    ),
    Rule(
        "discord-token",
        "pattern",
        pattern=r"(?:^|[^A-Za-z0-9_.-])([MNO][A-Za-z0-9]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40})",
        hint=r"\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{8}",
        validator="random",
    ),
    Rule(
        "mailchimp-key",
        "pattern",
        pattern=r"\b([0-9a-f]{32}-us[0-9]{1,2})\b",
        hint=r"[0-9a-f]-us[0-9]",
    ),
    Rule(
        "vault-legacy-token",
        "pattern",
        tier="extended",
        pattern=r"\b(s\.[A-Za-z0-9]{24})\b",
        validator="random",
        near=("vault",),
    ),
    Rule(
        "aws-secret-key",
        "pattern",
        pattern=r"(?:^|[^A-Za-z0-9/+=])([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)",
        validator="random",
        near=("aws", "secret access key", "secretaccesskey", "akia", "asia"),
    ),
    Rule(
        "vendor-key",
        "pattern",
        tier="extended",
        pattern=r"(?:^|[^A-Za-z0-9_-])([A-Za-z0-9_-]{32,64})(?:[^A-Za-z0-9_-]|$)",
        validator="opaque",
        near=(
            *("cohere api key", "cohere key", "mistral api key", "mistral key", "datadog api key", "datadog app key"),
            *(
                "twilio auth token",
                "algolia api key",
                "algolia admin key",
                "okta token",
                "okta api token",
                "fastly key",
            ),
            *("pagerduty key", "heroku api key", "cloudflare api token", "cloudflare api key", "fastly token"),
        ),
    ),
)
