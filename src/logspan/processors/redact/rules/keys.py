"""Secrets by the key that they are stored under. A key is read as words; its last words decide."""

from __future__ import annotations

from logspan.processors.redact.rule import Rule
from logspan.processors.redact.rules import languages

_WHOSE_KEY = (
    *("stripe", "sendgrid", "mailgun", "mailchimp", "postmark", "twilio", "vonage", "openai", "anthropic", "gemini"),
    *("mistral", "cohere", "groq", "deepseek", "pinecone", "github", "gitlab", "google", "maps", "aws", "azure"),
    *("datadog", "newrelic", "new relic", "sentry", "rollbar", "bugsnag", "algolia", "firebase", "heroku", "okta"),
    *("cloudflare", "auth0", "paypal", "braintree", "adyen", "square", "shopify", "plaid", "mapbox", "pusher", "fcm"),
    *("segment", "amplitude", "mixpanel", "pagerduty", "opsgenie", "launchdarkly", "supabase", "hubspot", "zendesk"),
    *("vault", "vendor", "partner", "merchant", "gateway", "provider", "service account", "publisher"),
    *("deploy", "signature", "hashing", "verification", "admin", "server", "webhook", "provisioning", "enrollment"),
    *(
        "fastly",
        "ngrok",
        "postman",
        "linear",
        "notion",
        "airtable",
        "elastic",
        "openrouter",
        "huggingface",
        "perplexity",
    ),
    *("registration", "write", "ingestion", "crypto", "jwt", "oauth", "agent", "bot", "symmetric"),
)
"""Whose key, or what for: `stripeKey`, `deploy_key`."""

_NAMES_OF_SECRETS = ("existing secret", "secret ref", "pull secret", "pull secrets")
_FORGOTTEN = ("forgot password", "forgotten password")
"""Names of secrets, and labels; now and then something else."""
_PARTS_OF_TOKENS = ("tokens access", "tokens refresh", "tokens id", "token access", "token refresh")
"""`{"tokens": {"access": ...}}`"""

KEY_RULES: tuple[Rule, ...] = (
    Rule(
        "password",
        "key",
        keys=(
            *("password", "passwd", "pwd", "passphrase", "passcode", "pass", "pw", "psw", "passwrd", "userpass"),
            *("pswd", "mdp", "community string", "snmp community", "key string"),
            *("pass word", "pass phrase", "mot de passe", "passwort", "kennwort", "contrasena", "senha", "wachtwoord"),
            *("pre shared key", "preshared key", "network key", "wep key", "wpa key", "requirepass", "masterauth"),
            *("dbpass", "rootpass", "adminpass", "smtppass", "sshpass", "ftppass", "keypass", "storepass"),
            *("srcstorepass", "deststorepass", "srckeypass", "destkeypass", "mypass"),
            *(
                "пароль",
                "密码",
                "密碼",
                "パスワード",
                "비밀번호",
                "hasło",
                "haslo",
                "heslo",
                "parola",
                "salasana",
                "lösenord",
            ),
            *(
                "contraseña",
                "clave",
                "clave secreta",
                "clave de acceso",
                "passe de l application",
                "kodeord",
                "adgangskode",
                "passord",
                "jelszo",
                "jelszó",
                "şifre",
                "sifre",
            ),
            *("password hash", "passwordhash", "hashed password", "seed phrase", "mnemonic", "recovery phrase"),
            *("password digest", "passwd hash", "pwd hash", "pass hash", "pw hash"),
            *languages.PASSWORDS,
            *_FORGOTTEN,
            *(
                "security answer",
                "secret answer",
                "unseal key",
                "recovery key",
                "root key",
                "activation key",
                "master key",
                "unlock code",
                "pword",
                "passkey phrase",
                "passphrases",
                "passwords",
                "psk",
            ),
        ),
    ),
    Rule(
        "secret",
        "key",
        keys=(
            *(
                *languages.SECRETS,
                *_NAMES_OF_SECRETS,
                "secret",
                "secrets",
                "client secret",
                "shared secret",
                "secret value",
                "webhook secret",
                "totp secret",
            ),
            *("signing secret", "app secret", "secret id", "consumer secret", "secret string", "secret data", "salt"),
        ),
    ),
    Rule(
        "credential",
        "key",
        keys=(
            *("credential", "credentials", "creds", "cred", "auth data", "login data", "userpwd", "basic auth"),
            "auth user info",
            *("auth", "registry auth", "proxy auth", "http auth", "redis auth", "rediscli auth"),
        ),
    ),
    Rule(
        "token",
        "key",
        keys=(
            *(
                "token",
                "tokens",
                "token hash",
                "token digest",
                "token de acceso",
                "token d accès",
                "jeton d accès",
                "jeton d acces",
                "令牌",
                "トークン",
                "토큰",
                "токен",
            ),
            *("auth token", "jwt", "bearer", "access token", "refresh token", "id token", "oauth token"),
            *("session token", "security token", "saml response", "saml assertion", "samlresponse", "idtoken"),
            *(
                "client assertion",
                "id token hint",
                "login ticket",
                "auth ticket",
                "code verifier",
                "magic link",
                "reset link",
                "personal access token",
                "pat",
            ),
            *_PARTS_OF_TOKENS,
            *("authtoken", "accesstoken", "refreshtoken", "access tokens", "refresh tokens", "auth tokens"),
        ),
    ),
    Rule(
        "api-key",
        "key",
        keys=(
            *(f"{whose} key" for whose in _WHOSE_KEY),
            *(
                f"{key} api"
                for key in ("clé", "clé d", "cle", "clave", "clave de", "chave", "chave de", "chiave", "klucz", "ключ")
            ),
            *languages.KEYS,
            *("consumer key", "opc key"),
            *("apikey", "api key", "access key", "secret key", "auth key", "account key", "shared key", "app key"),
            *("shared access key", "subscription key", "license key", "licence key", "storage key", "api keys"),
            *(
                "functions key",
                "api secret",
                "apisecret",
                "api token",
                "application key",
                "apikeys",
                "authkey",
                "secretkey",
                "accesskey",
                "passkey",
                "app secret key",
            ),
            *(
                "integration key",
                "routing key",
                "ingest key",
                "shared access signature",
                "publish profile",
                "instrumentation key",
            ),
        ),
    ),
    Rule(
        "private-key",
        "key",
        keys=(
            *(
                "private key",
                "privatekey",
                "private key id",
                "signing key",
                "encryption key",
                "decryption key",
                "ssh key",
                "privkey",
            ),
            *("rsa key", "tls key", "ssl key", "wallet key", "key material", "master secret", "private keys"),
            *(
                "hmac key",
                "encryption customer key",
                "client key",
                "fernet key",
                "secret key base",
                "unseal keys",
                "encryptionkey",
                "signingkey",
                "aes key",
                "pgp key",
                "gpg key",
                "session key",
                "ssh private key",
                "cipher key",
                *(f"jwk {part}" for part in ("d", "p", "q", "dp", "dq", "qi", "k")),
            ),
        ),
    ),
    Rule("authorization", "key", keys=("authorization", "proxy authorization", "x authorization", "auth header")),
    Rule(
        "signature",
        "key",
        keys=("x amz signature", "x goog signature", "x amz credential", "x goog credential", "sas token"),
    ),
    Rule("cookie", "key", action="hash", keys=("cookie", "cookies", "set cookie", "cookie2", "cookie header")),
    Rule(
        "session",
        "key",
        action="hash",
        keys=(
            *("session id", "sessionid", "session", "sessid", "phpsessid", "jsessionid", "connect sid", "sid"),
            *("asp net session id", "session cookie", "laravel session", "auth session", "remember me"),
            *(
                "remember token",
                "gitlab session",
                "user session",
                "sess id",
                "sessiontoken",
                "session ids",
                "session index",
            ),
        ),
    ),
    Rule(
        "webhook-url",
        "key",
        keys=("webhook url", "webhook uri", "webhook", "incoming webhook", "hook url", "webhook endpoint", "webhooks"),
    ),
    Rule(
        "csrf",
        "key",
        action="hash",
        keys=(
            *("csrf", "xsrf", "csrf token", "xsrf token", "csrfmiddlewaretoken", "csrftoken", "authenticity token"),
            *("request verification token", "xsrftoken", "anti forgery token"),
        ),
    ),
    Rule(
        "cvv",
        "key",
        keys=(
            *("cvv", "cvc", "cvv2", "cvc2", "cvn", "csc", "card verification value", "card verification code"),
            *("card security code", "card code", "cardcode", "cvv code", "cvc code", "cv number", "cvnumber", "cvd"),
        ),
    ),
    Rule(
        "pin",
        "key",
        keys=("pin", "pin code", "pincode", "card pin", "pin number", "pin block", "personal identification number"),
    ),
    Rule(
        "otp",
        "key",
        keys=(
            *("otp", "otp code", "totp", "hotp", "one time password", "one time code", "verification code", "mfa code"),
            *("2fa code", "two factor code", "auth code", "sms code", "security code", "backup code", "backup codes"),
            *(
                "recovery code",
                "recovery codes",
                "totp code",
                "login code",
                "access code",
                "confirmation code",
                "one time passcode",
            ),
            *("zugangscode", "código de acceso", "codigo de acceso", "code d accès"),
            *("authorization code", "activation code", "mfa token", "2fa", "authentication code", "mfa", "otps"),
        ),
    ),
)

WEAK_KEYS = frozenset(
    {
        "pass",
        "pw",
        "clave",
        "geheimnis",
        "sid",
        "session",
        "cred",
        "salt",
        "mfa",
        "2fa",
        "bearer",
        "jwt",
        "user session",
    }
)
"""Words that mean other things as well: what they hold counts when it looks like a secret."""

VAGUE_KEYS = frozenset(
    {
        "auth",
        "tokens",
        "pat",
        "secret id",
        *_NAMES_OF_SECRETS,
        *_FORGOTTEN,
        *_PARTS_OF_TOKENS,
        "routing key",
        *(f"{whose} key" for whose in _WHOSE_KEY),
    }
)
"""Words that mean other things most of the time: what they hold counts when it was made by a machine."""

HARMLESS_KEYS = frozenset(
    {
        *("page token", "next token", "next page token", "continuation token", "sync token", "public key token"),
        *("cancellation token", "unexpected token", "invalid token type", "prev token", "previous token", "lookup key"),
        *("sort key", "partition key", "primary key", "foreign key", "cache key", "public key", "resume token"),
        *("start token", "end token", "stop token", "pad token", "eos token", "bos token", "unk token", "mask token"),
        *("gpio pin", "map pin", "data pin", "clock pin", "reset pin", "led pin", "service key name"),
        *("call sid", "message sid", "account sid", "recording sid", "conference sid", "service sid"),
        *("checksum secret", "checksum secrets", "doc mdp"),
        *("test cookie", "cookie test", "first token", "last token", "per token", "to first token", "publickeytoken"),
    }
)
"""Last words of keys that sound like a secret and hold none: places in a list of pages, words of a language model, ..."""

PLURALS = ("secrets", "cookies", "credentials", "creds", "passwords", "tokens", "sessions")
"""Ends of keys under which a number is a count."""

FILLERS = frozenset(
    {
        *("value", "header", "plain", "plaintext", "raw", "text", "str", "string", "old", "new", "confirm", "base64"),
        *("confirmation", "again", "repeat", "current", "b64", "encoded", "cleartext", "prod", "bytes", "hex"),
        *("production", "staging", "dev", "test", "live", "sandbox", "primary", "secondary", "default", "previous"),
        *("v", "temp", "tmp", "val", "content", "data", "local", "pem", "der"),
    }
)
"""Last words of a key that say nothing of what it holds."""

STRONG_QUERY_KEYS = frozenset(
    {
        *("sig", "signature", "x-amz-signature", "x-amz-security-token", "x-amz-credential", "x-goog-signature"),
        *("x-goog-credential", "awsaccesskeyid", "googleaccessid", "key-pair-id", "oauth_signature", "oauth_token"),
        *(
            "oauth_verifier",
            "hdnea",
            "hdnts",
            "hmac",
            "jwt",
            "ticket",
            "auth",
            "sv_sig",
            "__token__",
            "x-oss-signature",
        ),
        *("sas", "assertion", "wresult", "samlart", "x-ms-token-aad", "sharekey"),
        *("x-cos-security-token", "samlresponse", "samlrequest", "code_verifier", "id_token_hint", "login_token"),
    }
)
WEAK_QUERY_KEYS = frozenset(
    {
        *("key", "code", "state", "t", "hash", "policy", "session", "sid", "otp", "magic", "invite", "reset", "verify"),
        *("confirm", "nonce", "k", "auth_code", "user_code", "device_code", "sess", "tk", "tok", "ak", "sk", "pw"),
    }
)
HEX_QUERY_KEYS = frozenset({"appid"})
"""Names in the query or fragment of a URL whose values sign or open something; the weak ones if these look random.

Those of `HEX_QUERY_KEYS` if it is 32 hexadecimal digits: OpenWeatherMap's `appid` is a key, those of others are public.
"""
