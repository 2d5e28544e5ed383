"""R7.1: the ways to write a secret down: declarations, headers, commands, lists that are one text; what looks alike."""

from __future__ import annotations

import pytest

from logspan.processors.redact import Redactor

REDACTOR = Redactor()
MADE = "Quartz7Lk29xWbTe4"

WRITTEN = [
    "CREATE LOGIN app WITH PASSWORD = N'{}'",
    "ALTER ROLE app PASSWORD E'{}'",
    'array(2) {{ ["user"]=> string(3) "ann" ["password"]=> string(18) "{}" }}',
    '"AUTH" "{}"',
    "AUTH PLAIN {}=",
    "password==>{}",
    "--> password --> {}",
    "//app:{}@db/orders",
    # declarations with a type, other separators
    'let secret: &str = "{}";',
    "readonly password: string | null = '{}'",
    'val apiKey: kotlin.String = "{}"',
    "password ➜ {}",
    "password\n{}",
    '$env:API_TOKEN = "{}"',
    'form.setPassword("{}")',
    "client = builder.api_key('{}').build()",
    "set_token('{}')",
    "db:\n  password: |-\n    {}\n    -more\n  user: kim",
    # credentials of any scheme
    'Authorization: Token token="{}"',
    "Authorization: SSWS {}",
    "authorization=CustomScheme {} ok",
    'Authorization: Acme id="1", key="{}"',
    # commands
    "echo {} | docker login --password-stdin -u ci",
    r"net use z: \\s\x /user:ann {}",
    "sqlplus app/{}@XE",
    "jdbc:oracle:thin:app/{}@db:1521:x",
    "app/{}@//db:1521/svc",
    "args=['curl', '-u', 'ann:{}', 'https://h']",
    "mysql -u root -p{} app",
    "rabbitmqctl add_user ann {}",
    "npm config set //r.example/:_authToken {}",
    "git config --global user.password {}",
    "aws configure set aws_secret_access_key {}",
    "New-Object PSCredential 'ann', (ConvertTo-SecureString '{}' -AsPlainText)",
    "echo '{}' | passwd --stdin root",
    # rows, brackets, pairs
    "auth | password | {} | ok",
    "user=ann;password;{}",
    "ann~password~{}",
    "[password] {}",
    "password (of ann) = {}",
    "password[0]={}",
    "KeyError('bad value for auth_token: {}')",
    "DB_PASS\tanchor-Bishop-{}",
    "password for ann@local: {}",
    "the generated password for the built-in user of the cluster is : {}",
    "requests.get(url, auth=('ann', '{}'))",
    "Default credentials: admin / {}",
    "db-1:5432:shop:app:{}",
    "app:{}@db",
    # values bound to a statement
    "[SQL: INSERT INTO users (name, password) VALUES (?, ?)]\n[parameters: ('ann', '{}')]",
    "INSERT INTO users (password, name) VALUES (%s, %s)\n[generated in 0.0002s] ('{}', 'ann')",
    "UPDATE users SET name = ?, password = ? WHERE id = ? -- args: ['ann', '{}', 7]",
    "execute s: INSERT INTO u (name, password) VALUES ($2, $1)\nDETAIL:  parameters: $1 = '{}', $2 = 'ann'",
    "%257B%2522password%2522%253A%2520%2522{}%2522%257D",
]


BOUND = [
    ("[SQL: INSERT INTO users (name, password) VALUES (?, ?)]\n[parameters: ('ann', '{}')]", "('ann', '"),
    ("[SQL: SELECT 1 FROM u WHERE name = ? AND password = ? AND id = ?]\n[parameters: ('ann', '{}', 7)]", "', 7)]"),
    ("INSERT INTO u (name, password) VALUES (now(), ?) [parameters: ('{}', 'ann')]", "', 'ann')]"),
]


@pytest.mark.parametrize(("line", "rest"), BOUND)
def test_of_the_values_bound_to_a_statement_those_of_sensitive_columns_go(line: str, rest: str) -> None:
    """The others stay, and so does a statement without its values."""
    redacted = REDACTOR.text(line.format(MADE))
    assert MADE not in redacted
    assert rest in redacted
    statement = line.partition("\n")[0].partition(" [param")[0]
    assert REDACTOR.text(statement) == statement


CHALLENGES = [
    'Authorization: Digest username="ann", realm="a", response="{}", qop=auth',
    "Authorization: AWS4-HMAC-SHA256 Credential=AKIAQ3EGRZ2TTVPNX7AB/20240603/eu-west-1/s3/aws4_request, Signature={}",
    'Authorization: OAuth oauth_token="{}", oauth_version="1.0"',
]


@pytest.mark.parametrize("line", CHALLENGES)
def test_of_an_answer_to_a_challenge_the_secret_fields_go(line: str) -> None:
    """Who, where and when stay readable."""
    redacted = REDACTOR.text(line.format(MADE))
    assert MADE not in redacted
    assert any(said in redacted for said in ('username="ann"', "/20240603/eu-west-1/s3/", 'oauth_version="1.0"'))


@pytest.mark.parametrize("line", WRITTEN)
def test_a_secret_goes_however_it_is_written(line: str) -> None:
    """In a text and as an attribute under a key that says nothing."""
    text = line.format(MADE)
    assert MADE not in REDACTOR.text(text)
    assert MADE not in str(REDACTOR.attributes({"note": text}))


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Use code 765955 to sign in", "765955"),
        ("CVV 536974 mismatch", "536974"),
        ("card 4556+5502+2639+0783 end", "4556+5502"),
        ("card 4556\t8623\t6194\t4740 end", "4556\t8623"),
        ('mail to "jane doe"@example.com bounced', "jane doe"),
    ],
)
def test_codes_cards_and_mail_in_other_writings(text: str, secret: str) -> None:
    """Prose around a code, other signs between groups, RFC 5321's quoted local part."""
    assert secret not in REDACTOR.text(text)


@pytest.mark.parametrize(
    "text",
    [
        "level=info token_type=bearer msg=ok",
        "usage: tool [--password PASSWORD] [--token TOKEN]",
        "POST /oauth/token 200 in 45ms",
        "credentials=include, authorization: rbac",
        "published routing_key=orders.created.v2 to exchange shop",
        'WWW-Authenticate: Bearer realm="api", error="invalid_token"',
        "authorization: granted for user kim",
        "UPDATE users SET password = $1 WHERE id = $2",
        "password: !vault",
        "docker run -u root:root -p 127.0.0.1:5432:5432 postgres:16",
        "mysql -u root -p app",
        "invalid password\nretry 1234abcd later",
        "pulled acme/web@sha256:9f86d081 from ghcr.io/foo/bar@v1.2/x",
        "progress 50%25 done",
        "authorization=denied reason=policy12345678",
        "rsync -a user:backup/dir /mnt",
        "password: Optional[str] = None",
        "form.setPassword('label.password')",
        'getSecret("db-credentials-2024")',
        'validateToken("kim2024-11")',
        'client.get_secret("db-pass-2024")',
    ],
)
def test_what_is_written_alike_stays(text: str) -> None:
    """Not a character changes."""
    assert REDACTOR.text(text) == text


def test_the_lines_of_a_private_key_are_one_text() -> None:
    """Not its first line alone goes; what stands after the key stays."""
    body = ["iM917LHKn9rSnPv63YwntI+bBfyxbZKPJngwSXpMh35eJ4Ejyv9KK3fkWNBlaHCU", "uqUWWN65r77EGhL8iVUE"]
    lines = ["-----BEGIN PRIVATE KEY-----", *body, "-----END PRIVATE KEY-----", "next"]
    redacted = REDACTOR.attributes({"lines": lines})["lines"]
    assert redacted == ["[REDACTED:pem-private-key]"] * 4 + ["next"]
    assert [(found.path, found.rule) for found in REDACTOR.explain({"lines": lines})][:2] == [
        ("lines[0]", "pem-private-key"),
        ("lines[1]", "pem-private-key"),
    ]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["curl", "-u", f"ann:{MADE} x", "https://h"], ["curl", "-u", "ann:[REDACTED:command-line]", "https://h"]),
        (["mysql", "-u", "root", f"-p{MADE}", "app"], ["mysql", "-u", "root", "-p[REDACTED:command-line]", "app"]),
        (["docker", "run", "-u", "root:root", "postgres:16"], ["docker", "run", "-u", "root:root", "postgres:16"]),
    ],
)
def test_the_arguments_of_a_command_are_one_text(command: list[str], expected: list[str]) -> None:
    """`process.command_args` loses what the same command loses as a line; an argument goes to its end."""
    assert REDACTOR.attributes({"process.command_args": command}) == {"process.command_args": expected}


def test_lists_that_are_no_command_stand_for_themselves() -> None:
    """Words beside each other make no sentence."""
    given = {"tags": ["password", "reset", "queued"], "hosts": ["db/a1b2c3d4@x", "y"], "empty": [], "args": ["user", 3]}
    assert REDACTOR.attributes(given) == given
