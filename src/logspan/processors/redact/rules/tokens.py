"""Tokens that their makers gave a shape: prefix, length, character set. The prefix may stay, the rest goes."""

from __future__ import annotations

from logspan.processors.redact.rule import Rule

_WORD, _URL, _HEX, _LOWER, _UPPER = "A-Za-z0-9", "A-Za-z0-9_-", "a-fA-F0-9", "a-z0-9", "A-Z0-9"
_B64 = "A-Za-z0-9+/=_-"
_HINT = 6
"""Characters behind the prefix that the first sieve asks for."""

_SHAPES: tuple[tuple[str, str, str, int], ...] = (
    # cloud
    ("aws-access-key", r"(?:AKIA|ASIA|ABIA|ACCA)", "A-Z0-9", 16),
    ("aws-session-token", r"(?:IQoJb3JpZ2lu|FwoGZXIvYXdz|FQoGZXIvYXdz|FwoDYXdz)", "A-Za-z0-9+/=%", 30),
    ("aws-bedrock-key", r"ABSK", "A-Za-z0-9+/=", 40),
    ("gcp-api-key", r"AIza", _URL, 30),
    ("gcp-oauth-token", r"ya29\.", "A-Za-z0-9_.-", 20),
    ("gcp-refresh-token", r"1//0", _URL, 20),
    ("gcp-client-secret", r"GOCSPX-", _URL, 20),
    ("alibaba-access-key", r"LTAI", _WORD, 12),
    ("tencent-secret-id", r"AKID", _WORD, 28),
    ("digitalocean-token", r"do[opr]_v1_", _HEX, 40),
    ("heroku-token", r"HRKU-", _URL, 30),
    ("fly-token", r"(?:FlyV1 |fo1_|fm[12][ar]?_)", "A-Za-z0-9_+/=,-", 30),
    ("netlify-token", r"nfp_", _WORD, 30),
    ("vercel-token", r"(?:vc[piark]_|vercel_)", _WORD, 20),
    ("cloudflare-token", r"(?:v1\.0-[a-f0-9]{24}-|cf[aubk]t_|cfut_)", _URL, 30),
    ("scaleway-key", r"SCW", "A-Z0-9", 17),
    ("yandex-token", r"(?:AQVN|y[0-3]_)", _URL, 30),
    ("tailscale-key", r"tskey-", _URL, 12),
    ("planetscale-token", r"pscale_(?:tkn|pw|oauth|app)_", "A-Za-z0-9_.=-", 20),
    ("supabase-key", r"(?:sbp_(?:v0_)?|sb_secret_)", _URL, 20),
    ("databricks-token", r"dapi", "a-f0-9-", 32),
    ("render-key", r"rnd_", _WORD, 20),
    # code, packages, CI
    ("github-token", r"(?:gh[pousr]_|github_pat_)", "A-Za-z0-9_", 20),
    ("gitlab-token", r"(?:gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat|ffct|rtr|wt)-|GR1348941)", "A-Za-z0-9_.-", 18),
    ("bitbucket-token", r"ATBB", "A-Za-z0-9=_-", 24),
    ("atlassian-token", r"AT[AC]TT3", "A-Za-z0-9_=+/.-", 30),
    ("npm-token", r"npm_", _WORD, 30),
    ("pypi-token", r"pypi-", _URL, 40),
    ("rubygems-key", r"rubygems_", "a-f0-9", 40),
    ("crates-token", r"cio", _WORD, 32),
    ("nuget-key", r"oy2", _LOWER, 43),
    ("docker-token", r"dckr_[op]at_", _URL, 20),
    ("artifactory-token", r"(?:AKCp|cmVmdGtu)", _WORD, 50),
    ("circleci-token", r"CC[I]?[A-Z]*PAT_", _URL, 20),
    ("buildkite-token", r"bk[uac][at]_", _WORD, 30),
    ("sonar-token", r"sq[upa]_", "a-f0-9", 40),
    ("sourcegraph-token", r"sgp_", "a-f0-9_", 40),
    ("postman-key", r"PMAK-", "a-f0-9-", 40),
    ("pulumi-token", r"pul-", "a-f0-9", 40),
    ("terraform-token", r"[A-Za-z0-9]{14}\.atlasv1\.", _URL, 50),
    ("vault-token", r"hv[sbr]\.", _URL, 20),
    ("doppler-token", r"dp\.(?:pt|st|ct|sa|scim|audit)\.", "A-Za-z0-9_.-", 30),
    ("onepassword-token", r"ops_eyJ", _B64, 40),
    ("age-secret-key", r"AGE-SECRET-KEY-1", "0-9A-Z", 50),
    ("prefect-key", r"pn[ub]_", _WORD, 30),
    ("dbt-token", r"dbt[cu]_", "A-Za-z0-9_=+/-", 20),
    # messages
    ("slack-token", r"(?:xox[a-z]-|xoxe\.xox[bp]-|xapp-)", "A-Za-z0-9-", 10),
    ("sendgrid-key", r"SG\.[A-Za-z0-9_-]{16,32}\.", _URL, 16),
    ("mailgun-key", r"key-", "a-f0-9", 32),
    ("brevo-key", r"(?:xkeysib|xsmtpsib)-", "A-Za-z0-9-", 40),
    ("resend-key", r"re_[A-Za-z0-9]{8}_", _WORD, 16),
    ("twilio-key", r"SK", "a-f0-9", 32),
    ("telegram-token", r"[0-9]{8,10}:AA", _URL, 32),
    ("figma-token", r"figd_", _URL, 30),
    ("notion-token", r"(?:secret_|ntn_)", _WORD, 40),
    ("linear-key", r"lin_(?:api|oauth)_", _WORD, 30),
    ("airtable-token", r"pat[A-Za-z0-9]{14}\.", "a-f0-9", 60),
    ("asana-token", r"[0-9]/[0-9]{16}:", _WORD, 32),
    ("clickup-token", r"pk_[0-9]{4,12}_", "A-Z0-9", 24),
    ("hubspot-token", r"pat-(?:na|eu|ap)[0-9]-", "a-fA-F0-9-", 36),
    ("contentful-token", r"CFPAT-", _URL, 40),
    ("typeform-token", r"tfp_", "A-Za-z0-9_.-", 40),
    # money
    ("stripe-key", r"(?:[rs]k_(?:live|test|prod)_|whsec_)", "A-Za-z0-9+/=", 10),
    ("square-token", r"(?:sq0(?:atp|csp|idp)-|EAAA)", _URL, 22),
    ("shopify-token", r"shp(?:at|ca|pa|ss|ua)_", _HEX, 32),
    ("braintree-token", r"access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$", "a-f0-9", 32),
    ("plaid-token", r"(?:access|public|link)-(?:sandbox|development|production)-", "a-f0-9-", 36),
    ("flutterwave-key", r"FLW(?:SECK|PUBK)(?:_TEST)?-", "A-Za-z0-9-", 12),
    ("easypost-key", r"EZ[AT]K", _LOWER, 54),
    ("duffel-token", r"duffel_(?:test|live)_", "A-Za-z0-9_=-", 40),
    ("shippo-token", r"shippo_(?:live|test)_", "a-f0-9", 40),
    ("razorpay-key", r"rzp_(?:live|test)_", _WORD, 14),
    # language models
    ("anthropic-key", r"sk-ant-", _URL, 20),
    ("openai-key", r"(?:sk-(?:proj|svcacct|admin|or|lf|None|live|test|v1)-|sess-)", _URL, 20),
    ("llm-key", r"sk-", _WORD, 20),
    ("groq-key", r"gsk_", _WORD, 40),
    ("huggingface-token", r"(?:hf|api_org)_", _WORD, 30),
    ("replicate-token", r"r8_", _WORD, 30),
    ("perplexity-key", r"pplx-", _WORD, 40),
    ("xai-key", r"xai-", _WORD, 40),
    ("nvidia-key", r"nvapi-", _URL, 40),
    ("langsmith-key", r"(?:lsv2_(?:pt|sk)|ls__)_?", "a-f0-9_", 32),
    ("pinecone-key", r"pcsk_", "A-Za-z0-9_", 40),
    ("elevenlabs-key", r"sk_", "a-f0-9", 40),
    ("cerebras-key", r"csk-", _LOWER, 40),
    ("voyage-key", r"(?:pa|al)-", _URL, 43),
    ("together-key", r"tgp_v1_", _URL, 30),
    ("fireworks-key", r"fw_", _WORD, 22),
    # watching
    ("grafana-token", r"(?:glsa_|glc_)", "A-Za-z0-9_+/=", 30),
    ("newrelic-key", r"NR(?:AK|II|IQ|JS|RA)-", "A-Za-z0-9_-", 19),
    ("sentry-token", r"(?:sntrys_|sntryu_)", "A-Za-z0-9+/=_", 40),
    ("dynatrace-token", r"dt0[a-z][0-9]{2}\.[A-Z2-7]{24}\.", "A-Z2-7", 60),
    ("posthog-key", r"ph[sxr]_", _WORD, 40),
    ("honeycomb-key", r"hc[abx][a-z]{2}_", _LOWER, 50),
    ("launchdarkly-key", r"sdk-[a-f0-9]{8}-", "a-f0-9-", 27),
    # who you are
    ("facebook-token", r"EAA[A-Za-z]", _WORD, 60),
    ("twitter-token", r"AAAAAAAAAAAAAAAAAAAA", "A-Za-z0-9%", 40),
    ("salesforce-token", r"00D[A-Za-z0-9]{12,15}!", "A-Za-z0-9_.", 60),
    ("mapbox-token", r"sk\.eyJ1", "A-Za-z0-9_.-", 30),
    ("adobe-secret", r"p8e-", _WORD, 32),
    ("wakatime-key", r"waka_", "a-f0-9-", 36),
    ("azure-devops-token", r"[A-Za-z0-9]{76}AZDO", _WORD, 4),
    ("firebase-server-key", r"AAAA[A-Za-z0-9_-]{7}:APA91b", _URL, 100),
    ("zapier-key", r"(?:sk_ap|zap)_", _WORD, 30),
)


_WEAK_PREFIX = 4
"""A prefix of so few characters counts at the beginning of a word only, and not behind `-` or `_`."""


def _token(rule: str, prefix: str, characters: str, least: int) -> Rule:
    """The part behind the prefix is the group; of a run that is longer than the least, all of it."""
    before = r"(?:^|[^A-Za-z0-9_-])" if len(prefix) <= _WEAK_PREFIX else "(?:^|[^A-Za-z0-9])"
    return Rule(
        rule,
        "pattern",
        pattern=f"{before}{prefix}([{characters}]{{{least},}})",
        hint=f"{prefix}[{characters}]{{{min(least, _HINT)}}}",
        validator="token" if any(letter.islower() for letter in characters) else "",
    )


TOKEN_RULES: tuple[Rule, ...] = tuple(_token(*shape) for shape in _SHAPES)
