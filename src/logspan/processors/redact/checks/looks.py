"""What a value looks like: a secret, a placeholder for one, or a word of a sentence."""

from __future__ import annotations

import re

_PLACEHOLDER = re.compile(
    r"(?:%\w{1,60}%|\$[0-9]{1,3}|@p[0-9]{1,3}|!(?:vault|secret|Ref|Sub|GetAtt|ImportValue|ENV|env|file|include|reference)(?:[_-]?ref)?|arn:aws[a-z-]{0,10}:\S{1,512}|\^?[a-z_-]{0,12}(?:\[[^\[\]\s]{1,40}-[^\[\]\s]{1,40}\](?:\{[0-9,]{1,8}\}|[+*])){1,6}[)$]{0,2}|(?:ref\+[a-z]+|file|vault|env|ssm|op|awskms|gcpkms|keyvault|secretref|secret|azurekms)://?[^\s]*|file:/[^\s]*|(?:bearer|basic|token) \{[^{}\n]*\}|[A-Za-z0-9_-]{0,8}(?:\*{3,}|\.{3}|\u2026|\u2022{3,})[A-Za-z0-9]{0,4}|x{6,}[A-Za-z0-9]{4}|\*{2,}|(?:x{3,}|y{3,}|z{3,})(?:[.-](?:x{3,}|y{3,}|z{3,})){0,8}|(?:[a-z]{1,20}[-_])?placeholder(?:[-_][a-z]{1,20})?|\.{2,}|-+|_{2,}|#{2,}|•+|%\(?\w*\)?[sdr]|\$?\{+[^{}:=\n]*\}+|\{\{[^{}\n]*\}\}|\$[A-Za-z_]\w*(?:\[|-)?|<[A-Za-z][A-Za-z _./:-]*>|<redacted[^<>\n]*>|\[[^\[\]\n0-9:]{0,60}\]"
    r"|\(?(?:null|none|nil|undefined|true|false|yes|no|empty|unset|not set|redacted|masked|hidden|filtered|removed"
    r"|passwor[dt]|passwd|kennwort|mot de passe|contraseña|senha|wachtwoord|(?:access |refresh )?token|pin|code pin|cvv|otp|api[ _-]?key|weak|strong|medium|required|invalid|incorrect|missing|expired|unchanged|changed|too_?short|too_?long|too_?common|mismatch|n/a|na|omitted|scrubbed|secret|sensitive|string|str|int|bool|bytes|object|optional|protected|encrypted)\)?"
    r"|(?:[a-z]{1,20}\.)?(?:optional|annotated|option|union|secretstr)(?:[\[<][^\n]{0,60}[\]>])?"
    r"|\?|-\}|\$\([a-z][a-z./_-]{1,40}(?:[ )].{0,512})?|@microsoft\.keyvault\([^()\n]{0,200}\)|ENC\[AES256_GCM.{0,2048}|(?:projects/[\w-]{1,60}/)?secrets/[\w-]{1,120}/versions/\w{1,20}|:\w{1,30}|your[-_][a-z_-]{2,40}|\[?redacted\b(?:[ ,;.=()-]{1,3}(?:[a-z]{1,16}|[0-9]{1,3})){0,8}[\])]{0,2})",
    re.IGNORECASE,
)
_PROSE = frozenset(
    {
        *("a", "an", "the", "is", "was", "are", "were", "be", "been", "has", "have", "had", "not", "and", "or", "for"),
        *("must", "should", "can", "cannot", "could", "will", "would", "may", "might", "does", "did", "do", "to", "of"),
        *("in", "on", "at", "by", "with", "from", "too", "very", "all", "any", "some", "this", "that", "it", "its"),
        *("invalid", "valid", "missing", "required", "expired", "expires", "incorrect", "wrong", "changed", "reset"),
        *(
            "added",
            "copied",
            "moved",
            "imported",
            "exported",
            "restored",
            "updated",
            "created",
            "deleted",
            "removed",
            "rotated",
            "revoked",
            "rejected",
            "refreshed",
            "accepted",
        ),
        *("denied", "failed", "failure", "success", "successful", "succeeded", "ok", "okay", "error", "unknown"),
        *("unauthorized", "forbidden", "disabled", "enabled", "active", "inactive", "pending", "present", "absent"),
        *("set", "unset", "found", "provided", "given", "supplied", "used", "unused", "optional", "mandatory", "new"),
        *("old", "short", "long", "weak", "strong", "blank", "malformed", "mismatch", "matched", "verified", "verify"),
        *("checking", "loading", "loaded", "using", "use", "via", "per", "only", "also", "see", "please", "enter"),
        *("generated", "issued", "stored", "saved", "sent", "received", "decoded", "encoded", "validated", "ready"),
        *("started", "opened", "closed", "ended", "established", "terminated", "timeout", "timed", "cleared", "none"),
        *("granted", "allowed", "blocked", "locked", "unlocked", "needed", "omitted", "hidden", "skipped", "ignored"),
        *("one", "two", "three", "low", "high", "same", "different", "still", "already", "never", "always", "no"),
        *("bearer", "basic", "digest", "oauth", "oauth2", "jwt", "cookie", "header", "type", "length", "format"),
        *("string", "field", "value", "values", "policy", "rules", "auth", "authentication", "login", "request"),
        *("unexpected", "unsupported", "signature", "rotation", "lookup", "refresh", "check", "exchange", "endpoint"),
        *("expected", "replaced", "resolved", "retrieved", "fetched", "obtained", "acquired", "completed", "done"),
        *(
            "complete",
            "renewed",
            "registered",
            "initialized",
            "mounted",
            "synced",
            "configured",
            "detected",
            "await",
            "return",
            "raise",
        ),
        *("falsch", "ungültig", "ungultig", "ungueltig", "erforderlich", "abgelaufen", "geändert", "geandert"),
        *("vergessen", "zurückgesetzt", "fehlt", "leer", "incorrect", "incorrecte", "invalide", "obligatoire"),
        *("oublié", "oublie", "expiré", "expire", "modifié", "modifie", "requis", "manquant", "incorrecta"),
        *("incorrecto", "inválida", "invalida", "inválido", "invalido", "requerida", "obligatoria", "caducada"),
        *("olvidada", "errata", "obbligatoria", "scaduta", "ongeldig", "verplicht", "verlopen", "obrigatória"),
        *("obrigatoria", "expirada", "errada"),
        *("retype", "repeat", "confirm", "again", "re-enter", "caducado", "manquante", "gelüftet", "fehlerhaft"),
        *("self", "new", "read", "write", "list", "get", "create", "update", "delete", "admin", "manage", "origin"),
        "chauthtok",
    }
)
_SENTENCE = re.compile(r"(?:(?:[A-Za-z'-]+|[0-9]{1,3})[,;:.]? ){1,30}(?:[A-Za-z'-]+(?:\(s\))?|[0-9]{1,3})[.!?]?")
_QUESTION = re.compile(r"[^\W\d_a-z][^\W\d_]{1,20}(?: [^\W\d_]{1,20}){1,8}[ \xa0]?\?")
"""`Forgot your password?`"""
_OPENINGS = frozenset(
    {
        *(
            "this",
            "the",
            "your",
            "you",
            "please",
            "must",
            "enter",
            "invalid",
            "value",
            "field",
            "ensure",
            "string",
            "a",
        ),
        *("password", "passwords", "input", "incorrect", "wrong", "missing", "cannot", "should", "expected", "both"),
        *("length", "not", "shorter", "longer", "unknown", "is", "can't"),
    }
)
_COMPLAINTS = frozenset(
    {
        *(
            "required",
            "must",
            "invalid",
            "valid",
            "missing",
            "incorrect",
            "wrong",
            "cannot",
            "can't",
            "couldn't",
            "too",
        ),
        *("match", "didn't", "doesn't", "don't", "should", "characters", "enter", "expected", "expired", "blank"),
        *("minimum", "maximum"),
    }
)
"""First words of what a form says of a field, and words that are in it."""
_WORD = re.compile(r"[a-z0-9']+")
_CODE = re.compile(
    r"[A-Z][A-Za-z]{2,40}\([A-Z][A-Za-z]{2,40}(?:\([0-9]{0,5}\)?)?\)?|[A-Z][A-Za-z]{2,40}\[[A-Za-z_.\[\] |]{1,80}\]|"
    r"(?:\$?[A-Za-z_]+(?:\??\.|::|->))+(?:<[A-Za-z_:<>]{1,60}>|[A-Za-z_]+)(?:\(.*|\[.*)?|[a-z]+(?:_[a-z]+)*\(\)?|[a-z]+(?:[A-Z][a-z]+)+\(\)?|_{0,2}[a-z][a-z_]{2,60}\([A-Za-z_][A-Za-z_.,=\[\] ]*[()]*(?:\.[a-z_]{2,40}\(?\)?)?"
    r"|[a-z_]{2,60}\((?:[a-z_]{2,60}\()?(?:\$[0-9]{1,3}|\?|%s|:\w{1,40})\)?"
    r"|[A-Z][A-Za-z]{2,40}\([a-z_]{2,40}=[\w.]{1,40}\)?"
)
_LETTERS = re.compile(r"[A-Za-z]+(?:['-][a-z]+)?")


def is_placeholder(value: str) -> bool:
    """Whether it only stands where a secret would stand: `***`, `${TOKEN}`, `null`, `%s`."""
    return _PLACEHOLDER.fullmatch(value) is not None


def is_complaint(value: str) -> bool:
    """Whether it is what a form says of a field. Any other sentence may be a passphrase."""
    if _QUESTION.fullmatch(value) is not None:
        return True
    if _SENTENCE.fullmatch(value) is None:
        return False
    words = _WORD.findall(value.lower())
    return not _OPENINGS.isdisjoint(words[:1]) and not _COMPLAINTS.isdisjoint(words)


def is_code(value: str) -> bool:
    """Whether it is an expression of a program: `self.password`, `getToken()`."""
    return _CODE.fullmatch(value) is not None and not any(map(str.isdigit, value.partition("(")[0]))


def is_unlike_words(value: str) -> bool:
    """Whether it stands behind a word like "password" and can be nothing but a secret: letters and digits in one run."""
    if len(value) < 8 or not any(map(str.isalpha, value)):
        return False
    if any(sign in "-_./:=,(" for sign in value):
        return is_disguised(value) or is_of_bytes(value)
    mixed = (
        any(map(str.islower, value)) and any(map(str.isupper, value)) and any(sign in "!#$%^&*?@+~" for sign in value)
    )
    return mixed or any(map(str.isdigit, value)) or is_jumbled(value)


def is_of_bytes(value: str) -> bool:
    """Whether it is the base64url of many bytes: a long part of it has capitals, small letters and digits."""
    if len(value) < _BYTES or _BASE64URL.fullmatch(value) is None or value.partition("_")[0].islower():
        return False
    return any(
        len(part) >= _RUN and all(any(map(kind, part)) for kind in (str.isdigit, str.isupper, str.islower))
        for part in _JOINTS.split(value)
    )


_BYTES, _RUN = 32, 8
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")


def is_jumbled(value: str) -> bool:
    """Whether it is letters alone, in capitals and small ones as no name has them: parts that cannot be spoken."""
    if len(value) < _JUMBLED or not (value.isascii() and value.isalpha()):
        return False
    parts = _PARTS.findall(value)
    return len(parts) > _FEW and sum(not part.isupper() and _VOWEL.search(part) is None for part in parts) > 1


_JUMBLED, _FEW = 10, 3
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_VOWEL = re.compile(r"[aeiouyAEIOUY]")


def is_disguised(value: str) -> bool:
    """Whether it is words with digits in the place of letters, as people make passwords: `Gr4nite.Falls63`."""
    if not _JOINED_WORDS.fullmatch(value) or not any(map(str.isupper, value)):
        return False
    return any(_DISGUISED.search(part) and not _METHOD.match(part) for part in _JOINTS.split(value))


_JOINTS = re.compile(r"[-_.]")
_JOINED_WORDS = re.compile(r"[A-Za-z0-9!#$%^&*?@+~]{1,16}(?:[-_.][A-Za-z0-9!#$%^&*?@+~]{1,16}){1,4}")
_DISGUISED = re.compile(r"[A-Za-z]{2}[0-9]{1,2}[a-z]{2}|[A-Za-z][0-9]{1,2}[a-z]+[0-9]")
_METHOD = re.compile(r"(?i)(?:argon2|pbkdf2|s?sha[0-9]|oauth2|base[0-9]|utf|saml2|md5|web3|x509|http2|ipv?[46])")
"""Names of methods and formats that have a digit within."""


def names_method(value: str) -> bool:
    """Whether a part of it is such a name."""
    return any(map(_METHOD.match, _JOINTS.split(value)))


def is_method(value: str) -> bool:
    """Whether it is nothing but the name of a method for passwords."""
    return _OF_PASSWORDS.fullmatch(value) is not None


_OF_PASSWORDS = re.compile(
    r"(?i)argon2(?:id|i|d)?|bcrypt|scrypt|pbkdf2(?:[-_]?(?:hmac[-_]?)?sha-?[0-9]{1,3})?|sha-?[0-9]{1,3}|md5|ntlm|crypt"
)


def is_made(value: str) -> bool:
    """Whether it stands behind `user:` and can be nothing but a password or a token."""
    return is_unlike_words(value) and (is_no_name(value) or len(value) >= 24)


def is_no_name(value: str) -> bool:
    """Whether it has digits, and capitals or signs that names do not have."""
    return any(map(str.isdigit, value)) and any(
        sign.isupper() or not (sign.isalnum() or sign in "-_./:@") for sign in value
    )


def is_prose(value: str) -> bool:
    """Whether it is a word that follows on "the token" in a sentence."""
    return value.lower().rstrip(".,:;!?") in _PROSE


def is_word(value: str) -> bool:
    """Whether it is made of letters alone, in one case or with a capital."""
    return _LETTERS.fullmatch(value) is not None and (value[1:].islower() or value.isupper())


def is_words(value: str) -> bool:
    """Whether it is called like a class: `SecretStore`, `TokenExpired`."""
    return _CLASS.fullmatch(value) is not None


_CLASS = re.compile(r"(?:[A-Z][a-z]{2,14}){2,4}")


def is_secretive(value: str) -> bool:
    """Whether it looks like a secret: letters with digits or signs, or long."""
    if len(value) < 4 or is_placeholder(value):
        return False
    kinds = any(map(str.isdigit, value)) + any(map(str.isalpha, value)) + (not value.isalnum())
    return (
        kinds >= 2
        or len(value) >= 20
        or (len(value) >= 6 and value.isdigit())
        or not (is_word(value) or value.isdigit())
    )


def is_random(value: str) -> bool:
    """Whether it looks made by a machine: long enough, with digits among letters."""
    digits = sum(map(str.isdigit, value))
    return len(value) >= 8 and digits > 0 and (digits < len(value) or len(value) >= 16)
