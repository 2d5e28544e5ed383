"""What passwords, secrets and keys are called in other languages than English."""

from __future__ import annotations

PASSWORDS = (
    *("motdepasse", "parole de passe", "contrasenya", "parolă", "parool", "lozinka", "geslo", "slaptažodis", "парола"),
    *("口令", "暗証番号", "암호", "كلمة المرور", "كلمة السر", "رمز عبور", "סיסמה", "पासवर्ड", "รหัสผ่าน", "mật khẩu"),
    *(
        "kata sandi",
        "κωδικός πρόσβασης",
        "lykilorð",
        "pasahitza",
        "salasõna",
        "palavra passe",
        "losenord",
        "slaptazodis",
        "mat khau",
    ),
    *("parola chiave", "parolachiave", "senha mestra"),
)

SECRETS = (
    "geheimnis",
    *("segredo", "segredo compartilhado", "secreto", "secreto compartido", "segreto", "secret partagé"),
    *("sekret", "hemlighet", "секрет", "シークレット", "시크릿"),
)

KEYS = (
    *("api schlüssel", "api schluessel", "zugangsschlüssel", "api sleutel", "geheimer schlüssel"),
    *("密钥", "密鑰", "秘钥", "访问密钥", "秘密鍵", "секретный ключ", "비밀키", "gizli anahtar", "tajny klucz"),
    *("chave secreta", "chave de acesso", "chiave segreta", "llave secreta", "clé secrète", "cle secrete"),
    *("clé d accès", "toegangssleutel", "geheime sleutel", "hemlig nyckel", "åtkomstnyckel", "hemmelig nøgle"),
    *("hemmelig nøkkel", "salainen avain", "tajný klíč", "klucz tajny", "zugriffsschlüssel", "geheimschlüssel"),
)
