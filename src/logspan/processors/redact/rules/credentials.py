"""Credentials by their shape, whoever made them: tokens that decode, headers, private keys, addresses with a password."""

from __future__ import annotations

from logspan.processors.redact.rule import Rule
from logspan.processors.redact.rules.keys import HEX_QUERY_KEYS, STRONG_QUERY_KEYS, WEAK_QUERY_KEYS

QUERY_HINT = rf"(?i)[?&#;](?:{'|'.join(sorted(STRONG_QUERY_KEYS | WEAK_QUERY_KEYS | HEX_QUERY_KEYS))})="

CREDENTIAL_RULES: tuple[Rule, ...] = (
    Rule(
        "jwt",
        "pattern",
        pattern=r"(?:^|[^A-Za-z0-9+_])(ey[IJ][A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]{2,}|\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+)(?:\.[A-Za-z0-9_-]*){0,3})",
        hint=r"ey[IJ][A-Za-z0-9_-]{8}",
    ),
    Rule("bearer", "parser", parser="bearer", hint=r"(?i)bearer"),
    Rule("basic-auth", "parser", parser="basic", hint=r"(?i)\bbasic[ :=+%]"),
    Rule(
        "auth-scheme",
        "parser",
        parser="scheme",
        hint=r"(?i)(?:authorization|x-auth)|\b(?:digest|negotiate|ntlm|token|apikey|ssws|sharedkey|aws4-hmac-sha256) ",
    ),
    Rule(
        "pem-private-key",
        "parser",
        parser="pem",
        hint=r"-----BEGIN|BEGIN [A-Z0-9 ]*PRIVATE|PuTTY-User-Key-File|AAAAB3NzaC1|b3BlbnNzaC1rZXk",
    ),
    Rule("url-password", "parser", parser="userinfo", hint=r"[^\s@]@"),
    Rule("url-secret", "parser", parser="query", hint=QUERY_HINT),
    Rule(
        "webhook",
        "pattern",
        pattern=r"(?i)(?:hooks\.slack\.com/(?:services|workflows|triggers)"
        r"|discord(?:app)?\.com/api/(?:v[0-9]{1,2}/)?webhooks"
        r"|[a-z0-9.-]{1,64}webhook\.office\.com/webhookb2|outlook\.office(?:365)?\.com/webhook"
        r"|hooks\.zapier\.com/hooks/catch|maker\.ifttt\.com/trigger/[\w-]{1,64}/(?:json/)?with/key"
        r"|hook\.(?:[a-z0-9]{2,4}\.)?(?:make|integromat)\.com|webhook\.site"
        r"|events\.pagerduty\.com/integration|open\.(?:feishu\.cn|larksuite\.com)/open-apis/bot/v2/hook"
        r"|hooks\.(?:chime\.aws|airtable\.com)/[a-z]{1,20}|alertmanager-webhook\.[a-z.]{1,30}"
        r"|rocket\.chat/hooks|mattermost\.[a-z.-]{1,40}/hooks|chat\.googleapis\.com/v1/spaces/[\w-]{1,40}/messages)"
        r"/?([^\s\"'<>\\)\]},|]{8,})|/services/(T[A-Z0-9]{6,12}/B[A-Z0-9]{6,12}/[A-Za-z0-9]{16,40})|api\.telegram\.org/bot([^\s\"'<>\\)\]},|/]{8,})",
        hint=r"(?i)hook|/services/T|/trigger/|telegram\.org/bot|events\.pagerduty\.com|chat\.googleapis\.com",
    ),
    Rule(
        "command-line",
        "parser",
        parser="command",
        hint=r"(?i)\bcurl\b|(?:^|[\s\"\'])-[apwku]\b|\bAUTH[\s\"]|\bLOGIN\s|\bwget\b|-(?:pass|user|token|key|secret|pwd)|\bmysql|sshpass|\s-p|\bdocker login|\bhtpasswd|\bvault login|\bhttps? -|\bxhs? -|\bnet user?\b|rabbitmqctl|\bSETUSER\b|\bIDENTIFY |[\"\']PASS |ConvertTo-Secure|\bopenssl enc\b|\bsqlplus|\bsqlldr|(?:imp|exp)dp\b|\brman\b|\| ?(?:chpasswd|passwd|sudo|gpg|kinit|cryptsetup)|\bpsexec|\buser(?:add|mod)|\bsnmp[a-z]+ |\bsnmp-server|\bssh-keygen|put-parameter|keyvault secret|\blftp\b|freerdp|\bmstsc\b",
    ),
    Rule(
        "sql",
        "parser",
        parser="sql",
        hint=r"(?i)insert\s+into|sp_(?:addlogin|password)|set\s+password|identified\s+(?:by|with)|\b(?:password|crypt|pgp_sym_encrypt)\s*\(?\s*[NE]?'",
    ),
    Rule(
        "generic-token",
        "pattern",
        pattern=r"(?:^|[^A-Za-z0-9_])[a-z][a-z0-9]{1,14}[_-](?:secret|sk|pat|key|token|api|apikey|tok)[_-]([A-Za-z0-9]{20,})",
        hint=r"[_-](?:secret|sk|pat|key|token|api|apikey|tok)[_-][A-Za-z0-9]{6}",
        validator="random",
    ),
    Rule(
        "password-hash",
        "pattern",
        # crypt(5), the strings of the Password Hashing Competition, RFC 2307, Django, Werkzeug
        pattern=r"(\$2[abxy]?\$[0-9]{2}\$[./A-Za-z0-9]{53}"
        r"|\$argon2(?:id|i|d)\$(?:v=[0-9]{1,3}\$)?[a-z0-9=,]{5,64}\$[A-Za-z0-9+/]{8,86}\$[A-Za-z0-9+/]{16,172}"
        r"|\$(?:1|5|6|7|y|gy|md5|sha1|apr1|scrypt|pbkdf2(?:-sha[0-9]{1,3})?)\$(?:[A-Za-z0-9./+=,-]{1,64}\$){1,3}[A-Za-z0-9./+]{20,172}={0,2}"
        r"|pbkdf2(?:_|:|-)sha[0-9]{1,3}[$:][0-9]{1,9}[$:][^$:\s]{1,64}[$:][A-Za-z0-9+/]{20,172}={0,2}"
        r"|scrypt:[0-9]{1,9}:[0-9]{1,4}:[0-9]{1,4}\$[^$\s]{1,64}\$[0-9a-f]{64,256}"
        r"|\$[PHS]\$[./A-Za-z0-9]{20,60}|SCRAM-SHA-(?:1|256|512)\$[0-9]{1,9}:[A-Za-z0-9+/=]{8,172}\$[A-Za-z0-9+/=:]{20,400}|\bmd5[0-9a-f]{32}\b"
        r"|\{S?(?:SHA(?:256|384|512)?|MD5)\}[A-Za-z0-9+/]{16,172}={0,2})",
        hint=r"\$(?:[PHS]|2[abxy]?|argon2[id]{1,2}|[1567]|g?y|md5|sha1|apr1|scrypt|pbkdf2[a-z0-9-]{0,8})\$|pbkdf2[_:-]sha|scrypt:[0-9]|SCRAM-SHA-[0-9]+\$|\bmd5[0-9a-f]{8}|\{S?(?:SHA|MD5)",
    ),
    Rule(
        "storage-key",
        "pattern",
        pattern=r"(?:^|[^A-Za-z0-9+/])([A-Za-z0-9+/]{86}==)",
        hint="[A-Za-z0-9+/]==",
        validator="random",
        near=("account key", "accountkey", "azure", "storage", "cosmos", "service bus", "shared key", "key"),
    ),
    Rule(
        "azure-signed-key",
        "pattern",
        # a signature at a fixed place tells whose it is: https://github.com/microsoft/security-utilities
        pattern=r"(?:^|[^A-Za-z0-9+])([A-Za-z0-9+/]{76}(?:\+ASt|\+ABa|\+AMC|ACDb|APIM)[A-Za-z0-9+/]{5}[AQgw]==|[A-Za-z0-9+/]{42}(?:\+ACR|AzSe)[A-Za-z0-9+/]{6}"
        r"|[A-Za-z0-9+/]{33}(?:\+ASb|\+AEh|\+ARm|AIoT|AzCa|AzEG)[A-Za-z0-9+/]{6}=|[A-Za-z0-9_-]{44}AzFu[A-Za-z0-9_-]{5}[AQgw]==|[A-Za-z0-9]{52}JQQJ9[A-Za-z0-9]{27})(?:[^A-Za-z0-9+=]|$)",
        hint=r"\+A(?:St|Ba|MC|CR|Sb|Eh|Rm)|ACDb|APIM|Az(?:Se|Ca|EG|Fu)|AIoT|JQQJ9",
        validator="random",
    ),
    Rule(
        "base64-key",
        "pattern",
        pattern=r"(?:^|[^A-Za-z0-9+/=_-])([A-Za-z0-9+/_-]{43}=|[A-Za-z0-9+/_-]{22}==)(?:[^A-Za-z0-9+/=]|$)",
        validator="random",
        near=(
            "with key",
            "key is",
            "unseal key",
            "encryption key",
            "aes key",
            "hmac key",
            "symmetric key",
            "fernet",
            "key material",
            "secret",
        ),
    ),
    Rule(
        "raw-private-key",
        "pattern",
        pattern=r"(?:^|[^A-Za-z0-9+/])(MII[A-Za-z0-9+/]{2}(?:IBADANBgkq|[A-Za-z0-9+/]IBAAK)[A-Za-z0-9+/=\s\\]{40,}|MH[cQ]CAQEEI[A-Za-z0-9+/=\s\\]{40,}"
        r"|MIG[A-Za-z0-9+/]AgEAM[A-Za-z0-9+/=\s\\]{40,}|MC4CAQAwBQYDK2V[A-Za-z0-9+/=]{20,})",
        hint=r"MII[A-Za-z0-9+/]{2}(?:IBADANBgkq|[A-Za-z0-9+/]IBAAK)|MH[cQ]CAQEEI|MIG[A-Za-z0-9+/]AgEAM|MC4CAQAwBQYDK2V",
    ),
    Rule(
        "jwk-private-key",
        "parser",
        parser="jwk",
        hint=r"[\"']kty\\*[\"']",
    ),
    Rule(
        "session-cookie",
        "pattern",
        action="hash",
        # cookies of servers whose names end at random; what ASP.NET Core protects begins with the same five signs
        pattern=r"(?:^|[^A-Za-z0-9_])(?:wordpress_(?:logged_in|sec)_[0-9a-f]{32}|S?SESS[0-9a-f]{32}|ASPSESSIONID[A-Z]{6,10}|remember_[a-z]{2,20}_[0-9a-f]{40,64}|MoodleSession[A-Za-z0-9]{0,16})"
        r"(?:=|:|%3D)[ ]?([A-Za-z0-9%._~+/=|-]{12,})|(?:^|[^A-Za-z0-9_-])(CfDJ8[A-Za-z0-9_-]{40,})",
        hint=r"wordpress_(?:logged_in|sec)_|SESS[0-9a-f]{8}|ASPSESSIONID|remember_[a-z]+_[0-9a-f]{8}|MoodleSession|CfDJ8",
    ),
    Rule(
        "tls-key-log",
        "pattern",
        # the file of SSLKEYLOGFILE: draft-ietf-tls-keylogfile
        pattern=r"\b(?:CLIENT_RANDOM|(?:CLIENT|SERVER)_(?:HANDSHAKE_)?TRAFFIC_SECRET_[0-9]|(?:EARLY_)?EXPORTER_SECRET|CLIENT_EARLY_TRAFFIC_SECRET) [0-9a-fA-F]{64} ([0-9a-fA-F]{64,128})",
        hint=r"CLIENT_RANDOM |_TRAFFIC_SECRET|EXPORTER_SECRET ",
    ),
    Rule(
        "hook-path",
        "pattern",
        pattern=r"(?i)://[^\s/\"'<>]{1,253}(?:/[\w.-]{1,64}){0,4}/(?:[\w-]{0,32}hooks?|services)/([^\s\"'<>\\)\]},|?#]{16,})",
        hint=r"(?i)://[^\s/\"'<>]+(?:/[\w.-]+)*/(?:[\w-]*hooks?|services)/[^\s\"'<>\\)\]},|?#]",
        validator="path-token",
    ),
    Rule(
        "login-pair",
        "pattern",
        pattern=r"(?i)\b(?:login|logon|log in|logged (?:in|on)|credentials?|creds|auth|signin|addauth \w{1,16}|user|\(?user(?:name)?(?: ?[/&+] ?| and )pass(?:word|wd)?\)?)"
        r"(?: (?:as|for|with|attempt|using))?[ :=]{1,3}[\w.@-]{1,64}(?:[/:]| / )([^\s/:,;\"']{8,128})"
        r"|(?:auth|login|credentials?|creds)(?: ?= ?| )?[(\[]\s{0,4}[bru]?[\"'][^\"'\n]{1,64}[\"'],\s{0,4}[bru]?[\"']([^\"'\n]{6,128})[\"']"
        r"|(?:auth|login) ?\([\w.@-]{1,64}, ?([^\s,()\"']{8,128})\)",
        hint=r"(?i)(?:(?:log[io]n|logged (?:in|on)|credentials?|creds|log in|signin|auth|user|addauth \w+)(?: (?:as|for|with|attempt|using))?|pass(?:word|wd)?\)?)[ :=]+[\w.@-]+(?:[/:]| / )"
        r"|(?:auth|login|credentials?|creds)[ =]*[(\[]\s*[bru]?[\"']|(?:auth|login) ?\([\w.@-]+, ?[^\s\"']",
        validator="login-password",
    ),
    Rule(
        "pgpass",
        "pattern",
        # a line of PostgreSQL's password file: host, port, database, user, password
        pattern=r"(?:^|[\s\"'=])[\w.*-]{1,253}:(?:54[0-9]{2}|64[0-9]{2}|\*):[^\s:]{1,64}:[^\s:]{1,64}:([^\s\"']{4,256})",
        hint=r":(?:[56]4[0-9]{2}|\*):[^\s:]+:[^\s:]+:",
        validator="secretive",
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
    Rule(
        "one-time-code",
        "pattern",
        pattern=r"(?i)(?:\b(?:otp|totp|2fa|mfa|tan|passcode|one[- ]?time[- ]?(?:pass)?(?:code|word|pin)|(?:verification|security|login|log-in|sign-?in|"
        r"auth|authentication|authorization|confirmation|access|sms|two[- ]factor|2fa|mfa|recovery|backup|reset|activation)[ -](?:code|pin|passcode|otp)"
        r"|best(?:ä|ae)tigungscode|sicherheitscode|code de (?:v[ée]rification|confirmation|s[ée]curit[ée])|c[óo]digo de (?:verificaci[óo]n|seguridad|verifica[çc][ãa]o|confirmaci[óo]n)"
        r"|codice di (?:verifica|sicurezza)|verificatiecode|kod weryfikacyjny|(?:код подтверждения))|验证码|驗證碼|認証コード|인증번호|確認コード)"
        r"(?: (?:code|token|number|no|pin))?[^A-Za-z0-9\n]{0,4}(?:(?:is|was|lautet|est|es|ist|code|of|为|是)[^A-Za-z0-9\n]{1,4})?([0-9]{3}[ -]?[0-9]{3}|[0-9]{4,8})\b"
        r"|\b(?:t?otp|passcode|(?:sms|verification|security|login|access|confirmation|auth|authentication|one-time|2fa|mfa) (?:code|pin))"
        r" (?:sent|generated|issued|created|received|entered|submitted) ?[:=] ?([0-9]{6})\b"
        r"|\b(?:[Gg]-)?([0-9]{4,8}) is your [A-Za-z0-9 ]{0,40}(?:code|otp|passcode|pin)\b"
        r"|\byour (?:[A-Za-z0-9-]+ ){0,3}code(?: is|:) ([0-9]{4,8})\b"
        r"|\bcode[: ]{1,2}([0-9]{4,8})\b[^\n]{0,40}(?:valid for|expires|share|gültig)"
        r"|\b(?:use|enter)(?: (?:the |this |your )?(?:code|pin|passcode|password))? ([0-9]{4,8}) (?:to|as|for) (?:log|sign|verif|your|confirm|authent|complet)",
        hint=r"(?i)\bt?otp|\b2fa(?:$|[^a-z0-9]|[0-9]{4})|mfa|passcode|\btan\b|(?:^|[^_a-z]|[es])code(?:$|[^a-z.]|\.[^a-z])|[0-9] is your |(?:use|enter) [0-9]{4}"
        r"|(?:\b|time)pin\b|time[- ]?pass|c[óo]digo|код|验证码|驗證碼|コード|인증번호|kod weryf",
    ),
    Rule(
        "recovery-code",
        "pattern",
        pattern=r"(?i)\b(?:recovery|backup|rescue|scratch) codes?(?: is)?[ :=]{1,3}((?:[a-z0-9]{4,6}-){1,4}[a-z0-9]{4,6})\b",
        hint=r"(?i)\b(?:recovery|backup|rescue|scratch) codes?(?: is)?[ :=]{1,3}[a-z0-9]{4,6}-",
        validator="random",
    ),
    Rule(
        "card-security-code",
        "pattern",
        pattern=r"(?i)\b(?:cvv2?|cvc2?|cvn2?|csc|cid|(?:card )?(?:security|verification) (?:code|value|number)|kartenpr(?:ü|ue)fnummer|cryptogramme)"
        r"(?: (?:code|number|value))?[^A-Za-z0-9\n]{0,4}(?:(?:is|was|ist|est)[^A-Za-z0-9\n]{1,3})?([0-9]{3,6})\b",
        hint=r"(?i)cvv|cvc|cvn|\bcsc|\bcid\b|(?:security|verification) (?:c|v|n)|pr(?:ü|ue)fnummer|cryptogramme",
    ),
    Rule(
        "pin-code",
        "pattern",
        pattern=r"(?i)\bpin(?: ?(?:code|number|no))?[^A-Za-z0-9\n]{0,3}(?:(?:is|was|ist|set to|changed to)[^A-Za-z0-9\n]{1,3})?([0-9]{4,8})\b",
        hint=r"(?i)\bpin\b|\bpin ?(?:code|n)",
    ),
)
