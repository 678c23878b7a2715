"""What secrets look like: a table of kinds, each with the words without which it cannot be there. Pure data.

Every pattern takes time that grows with the length of the text and no faster: a repeat begins where nothing of its own
class stands before it, is bounded, or is followed by what it cannot contain itself. The group ``secret`` is what goes.
"""

from __future__ import annotations

import re

from bridge.secret_checks import (
    has_card_groups,
    has_long_base64,
    mixed,
    no_marker,
    of_an_assignment,
    of_an_option,
    of_bare_header,
    of_basic,
    of_card,
    of_encoded_key,
    of_encoded_userinfo,
    of_header,
    of_mail,
    of_pem_body,
    of_pgpass,
    of_quoted,
    of_userinfo,
    on_the_next_line,
    with_digit,
)
from bridge.secret_shapes import CREDENTIAL, Kind, kind_of
from bridge.secret_tokens import TOKENS

_NAMES = (
    r"(?P<name>pass(?:word|wd|phrase|code|wort)|pwd|secret|(?<!unexpected )token|credential"
    r"|(?:api|access|secret|private|encryption|signing|auth|master|account|shared[_\-. ]?access|storage|hmac"
    r"|service[_\-. ]?role|licen[sc]e|subscription|jwt|cookie|session)[_\-. ]?key"
    r"|(?<![a-z])(?:pass(?=\\{0,3}[\"']?[ \t]{0,3}=|[\"'])|(?:bind|root)?pw|sid|session_?id|phpsessid|jsessionid|otp|cvv2?|cvc|ssn"
    r"|sig|signature|_auth)(?![a-z]))(?P<suffix>[\w.\-]{0,40})"
)
_ESCAPED_QUOTE = r"(?:&(?:amp;){0,3}(?:quot|apos|#0{0,4}3[49]|#x0{0,4}2[27]);|\\{1,3}u002[27])"
_ESCAPED_SIGN = r"&(?:amp;){0,3}(?:equals|colon|#0{0,4}(?:61|58)|#x0{0,4}3[ad]);|\\{1,3}u003[ad]"
"""A quote, ``=`` and ``:`` as HTML and the JSON of some languages escape them."""

_OPEN = rf"(?:{_ESCAPED_QUOTE}|\\{{0,3}}[\"']?)"
_IS = rf"{_OPEN}(?:\[[0-9]{{0,3}}\]|\]|%5d)?[ \t]{{0,3}}(?:=>|:=|==?|[:\uff1a\uff1d]|%(?:25){{0,3}}3[ad]|{_ESCAPED_SIGN})[ \t]{{0,3}}"
"""Between a name and its value: also in brackets, as PHP prints it (``[password] => x``) and forms send it
(``user[password]=x``), escaped, and of full width."""

_UNQUOTED = (
    r"(?:[^\s\"'`,;&|\\]|[,;&|](?!\s|$|[\\\"'`]|[\w.\-]{1,40}\\{0,3}[\"']?[=:])|\\(?![\"'nrt])){1,4096}"
)
"""Up to what ends a value: a blank, a quote, or a separator before the next name."""

_NAME_HINTS = "pass pwd secret token credential key pw sid session otp cvv cvc ssn sig _auth"
"""Every word that _NAMES knows."""
_SCHEMES = r"(?:basic|bearer|token|apikey|api-key|key|negotiate|ntlm|ssws|dpop|splunk|geniekey)"
_PAIR = r"[a-z]{1,20}=(?:\"[^\"\n]{0,1024}\"|[^\s,\"]{0,1024})"

_UNDER_A_NAME = kind_of(
    CREDENTIAL,
    _NAME_HINTS,
    rf"{_NAMES}{_IS}(?P<quote>[\"'`])(?P<secret>(?:\\.|(?!(?P=quote))[^\\\n]){{1,4096}})(?P=quote)",
    of_an_assignment,
)


def names_a_secret(name: str, value: str) -> bool:
    """Whether a value is a secret because of the name it stands under, in labels and other pairs."""
    lowered = name.lower()
    if not value or not any(hint in lowered for hint in _UNDER_A_NAME.hints):
        return False
    spelled = "".join(char for char in value[:1000] if char not in '"\\\n') or "-"
    found = _UNDER_A_NAME.pattern.search(f'{name}="{spelled}"')
    return found is not None and of_an_assignment(found)


_HOST = r"(?:[\w.*\-]{1,253}|/[\w./\-]{1,253})"
_FIELD = r"(?:\\.|[^\s:\\\"'/]){1,64}"
"""Of a line of ~/.pgpass: a name or a socket's directory; a database or a user, with ``:`` and a backslash escaped."""

_NO_BASE64_BEFORE = r"(?<![\w+/=\-])"
_PEM_LINE = r"[A-Za-z0-9+/]{64}(?:[A-Za-z0-9+/]{6})?(?![\w+/=\-])"
_PEM_BREAK = rf"(?:[ \t]{{0,8}}\s[^\n]{{0,120}}?{_NO_BASE64_BEFORE}|(?:\\{{1,4}}[nr])+)"
"""A line of a key's body: 64 characters (RFC 7468), 70 of OpenSSH's; and what stands between two of them."""

BUILT_IN: tuple[Kind, ...] = (
    kind_of(  # each line of it behind a time or a name, as loggers write them
        "private_key",
        "private",
        r"(?P<secret>-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----[ \t]{0,8}"
        r"(?:\s[^\n]{0,120}?(?<![A-Za-z0-9+/=])[A-Za-z0-9+/=]{20,512}[ \t]{0,8}(?=\s|$)){1,200}"
        r"(?:\s[^\n]{0,140}(?=\s[^\n]{0,120}-----END ))?"
        r"(?:\s[^\n]{0,120}-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?)",
    ),
    kind_of(
        "private_key",
        "private",
        r"(?P<secret>-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?:\s|\\+[nr])+(?:(?:proc-type|dek-info|version|comment): [^\n\\]{0,100}|[A-Za-z0-9+/=]{20,512}))*"
        r"(?:(?:\s|\\+[nr])+=?[A-Za-z0-9+/=]{1,512}(?=(?:\s|\\+[nr])*(?:=[A-Za-z0-9+/]{4}(?:\s|\\+[nr])*)?-----END))?"
        r"(?:(?:\s|\\+[nr])*(?:=[A-Za-z0-9+/]{4}(?:\s|\\+[nr])*)?-----END [A-Z0-9 ]{0,40}-----)?)",
    ),
    kind_of(  # its end alone, where the beginning was cut off
        "private_key",
        "-----end",
        r"(?<![A-Za-z0-9+/=])(?P<secret>(?:[A-Za-z0-9+/=]{16,512}(?:\s|\\+[nr])+){1,64}-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)",
    ),
    Kind(  # its middle alone: a cut took both ends
        name="private_key",
        hints=(),
        needs=has_long_base64,
        pattern=re.compile(
            rf"(?:{_NO_BASE64_BEFORE}|(?<=\\[nr]))(?P<secret>{_PEM_LINE}(?:{_PEM_BREAK}{_PEM_LINE}){{1,400}}"
            rf"(?:{_PEM_BREAK}(?:[A-Za-z0-9+/]{{16,69}}={{0,2}}|[A-Za-z0-9+/]{{1,69}}={{1,2}})(?![\w+/=\-]))?)"
        ),
        certain=of_pem_body,
    ),
    kind_of(  # the whole of it in base64: a secret of Kubernetes, a kubeconfig
        "private_key",
        "ls0tls1crudjti",
        r"(?<![A-Za-z0-9+/])(?P<secret>LS0tLS1CRUdJTi[A-Za-z0-9+/]{24,16384}={0,2})",
        of_encoded_key,
        case=True,
    ),
    kind_of("url_userinfo", "@", r"(?<=://)(?P<secret>[^\s/?#\"'<>`\\]{1,4096})@", of_userinfo),
    kind_of(  # a password with a slash in it, which belongs encoded and often is not
        "url_userinfo",
        "@",
        r"(?<=://)(?P<secret>[^\s/?#@:\"'<>\\]{0,128}:(?![0-9]{1,5}(?:[/?#]|$))[^\s@\"'<>\\]{1,256})@[\w.-]{1,253}(?=[:/?#\s\"',)]|$)",
        of_userinfo,
    ),
    kind_of(  # the same within another URL
        "url_userinfo",
        "%40",
        r"%3a(?:%2f|/){2}(?P<secret>[^\s/?#&\"'<>]{1,256}?)%40",
        of_encoded_userinfo,
    ),
    kind_of(
        "connection_string",
        "@tcp( @unix(",
        r"(?<![\w.\-])[\w.\-]{1,64}:(?P<secret>[^\s@]{1,128})@(?:tcp|unix)\(",
        no_marker,
    ),
    kind_of(
        "connection_string", ":thin:", r"(?<=:thin:)(?P<secret>[^\s/:@]{1,64}/[^\s@]{1,128})@", no_marker
    ),
    kind_of(
        "webhook_url",
        "/services/ /workflows/ /triggers/ /api/webhooks/ webhook /integration/",
        r"(?:hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/webhooks/|(?<!\w)/services/(?=T[A-Z0-9]{6,12}/B)"
        r"|events\.(?:eu\.)?pagerduty\.com/integration/(?=[0-9a-f]{32})|[\w.-]{1,64}\.webhook\.office\.com/|outlook\.office(?:365)?\.com/webhook/)(?P<secret>[\w/@%.\-]{8,1024})",
    ),
    kind_of(
        "authorization",
        "authorization",
        rf"authorization{_IS}{_OPEN}{_SCHEMES}[ \t]{{1,3}}(?P<secret>[^\s\"',;\\]{{4,8192}})",
        of_header,
    ),
    kind_of(
        "authorization",
        "authorization",
        rf"authorization{_IS}{_OPEN}(?:aws4-hmac-sha256|digest|oauth|signature|hawk)[ \t]{{1,3}}"
        rf"(?P<secret>{_PAIR}(?:,[ \t]{{0,3}}{_PAIR}){{0,30}})",
    ),
    kind_of(
        "authorization",
        "authorization",
        rf"authorization{_IS}{_OPEN}(?!(?:aws4-hmac|digest|oauth|signature|hawk))"
        r"(?P<secret>[^\s\"',;\\]{8,8192})",
        of_bare_header,
    ),
    kind_of(
        "cookie",
        "cookie",
        r"cookie\\{0,3}[\"']?[ \t]{0,3}[:=][ \t]{0,3}(?:\[[ \t]{0,3})?\\{0,3}[\"']?"
        r"(?P<secret>[\w!#$%&*+.^|~\-]{1,64}=[^\s;,\"'\\]{0,4096}(?:;[ \t]?[\w!#$%&*+.^|~\-]{1,64}(?:=[^\s;,\"'\\]{0,4096}|(?=[;,\s\"'\\]|$))){0,64})",
    ),
    kind_of(
        "bearer",
        "bearer",
        r"(?<![a-z])bearer(?:[ \t]{1,3}|[ \t]{0,3}\n[ \t]{0,8})(?P<secret>[A-Za-z0-9._~+/\-]{8,8192}={0,2})(?![\w=])",
        with_digit,
    ),
    kind_of(
        "basic_auth", "basic", r"(?<![a-z])basic[ \t]{1,3}(?P<secret>[A-Za-z0-9+/]{4,1024}={0,2})", of_basic
    ),
    kind_of(  # of a registry, in ~/.docker/config.json
        "basic_auth",
        '"auth',
        r"\"auth\\{0,3}\"[ \t]{0,3}:[ \t]{0,3}\\{0,3}\"(?P<secret>[A-Za-z0-9+/]{4,1024}={0,2})\\{0,3}\"",
        of_basic,
    ),
    kind_of(  # that file in base64: {"auths": ...
        "basic_auth",
        "eyjhdxrocyi6 ewojimf1dghzij",
        r"(?<![A-Za-z0-9+/])(?P<secret>(?:eyJhdXRocyI6|ewoJImF1dGhzIj)[A-Za-z0-9+/]{8,16384}={0,2})",
        case=True,
    ),
    kind_of(
        "basic_auth",
        "curl",
        r"curl[ \t][^\n]{0,200}?(?:-u|--user)[ \t=]{1,3}[\"']?(?P<secret>[^\s:\"']{1,64}:[^\s\"']{1,256})",
        no_marker,
    ),
    kind_of(
        "jwt",
        "eyj",
        r"(?<![A-Za-z0-9_-])(?P<secret>eyJ[\w-]{8,8192}\.[\w-]{4,8192}(?:\.[\w-]{0,8192}){0,3})",
        case=True,
    ),
    *TOKENS,
    _UNDER_A_NAME,
    kind_of(
        CREDENTIAL,
        "quot; apos; &# amp;# u002",
        rf"{_NAMES}{_IS}{_ESCAPED_QUOTE}(?P<secret>(?:(?!{_ESCAPED_QUOTE})[^\"\n]){{1,4096}})",
        of_an_assignment,
    ),
    kind_of(
        CREDENTIAL,
        _NAME_HINTS,
        rf"{_NAMES}{_IS}\\{{1,3}}[\"'](?P<secret>[^\"'\\\n]{{1,4096}})\\{{1,3}}[\"']",
        of_an_assignment,
    ),
    kind_of(
        CREDENTIAL,
        _NAME_HINTS,
        rf"{_NAMES}{_IS}(?!{_ESCAPED_QUOTE}|\\{{1,3}}[nrt])\\{{0,3}}[\"'`]?(?P<secret>{_UNQUOTED})",
        of_an_assignment,
        closers=True,
    ),
    kind_of(  # the same word in other languages
        CREDENTIAL,
        "kennwort contrase wachtwoord passe \u043f\u0430\u0440\u043e\u043b\u044c \u5bc6\u7801 \u5bc6\u78bc",
        r"(?P<name>kennwort|contrase[\u00f1n]a|wachtwoord|mot[ _\-]de[ _\-]passe|\u043f\u0430\u0440\u043e\u043b\u044c|\u5bc6[\u7801\u78bc])"
        rf"(?P<suffix>){_IS}[\"'`]?(?P<secret>{_UNQUOTED})",
        of_an_assignment,
        closers=True,
    ),
    kind_of(  # DB_PASS: hunter2, which as "pass: 12" is a number of tests
        CREDENTIAL,
        "_pass .pass -pass",
        rf"(?P<name>(?-i:(?<=[A-Z0-9]_)PASS)|(?<=(?:ssh|ftp|sql)[_\-.])pass|(?<=become[_\-.])pass)(?P<suffix>){_IS}[\"'`]?(?P<secret>{_UNQUOTED})",
        of_an_assignment,
        closers=True,
    ),
    kind_of(  # on the line below its name, as in YAML's blocks; " | " is a health check's line end
        CREDENTIAL,
        _NAME_HINTS,
        rf"{_NAMES}{_IS}(?:[|>][+-]?[ \t]{{0,8}}(?:\n|\\{{1,3}}n)?|\n|\\{{1,3}}n)[ \t]{{0,40}}[\"']?"
        r"(?P<secret>(?:[^\s\"'\[\\]|\\(?![nrt\"'])){6,512})[\"']?(?=[ \t]{0,8}(?:\n|$|[|;,\"]|\\{1,3}[nr]))",
        on_the_next_line,
    ),
    kind_of(  # ?key=AbCd1234EfGh5678
        CREDENTIAL,
        "?key= &key= ?code= &code= ?auth= &auth=",
        r"(?<=[?&])(?:key|code|auth)=(?P<secret>[^\s&#\"'<>]{16,1024})",
        mixed,
    ),
    kind_of(
        CREDENTIAL,
        "$1$ $5$ $6$ $y$ $2a$ $2b$ $2y$ $apr1$ $argon2",
        r"(?P<secret>\$(?:[156y]|2[aby]|apr1|argon2(?:id|i|d))\$[\w./$=,+\-]{20,512})",
    ),
    kind_of(  # a line of ~/.pgpass: db:5432:shop:app:hunter2
        CREDENTIAL,
        ":543 :6432: :*:",
        rf"(?<![^\s\"'`(\[])(?:{_HOST}:(?:543[0-9]|6432):(?P<database>{_FIELD})|{_HOST}:\*:\*|\*:\*:{_FIELD}):{_FIELD}"
        r":(?P<secret>(?:\\.|[^\s:\\\"'`]){1,256})(?=[\"'`)\],;]{0,2}(?:\s|$))",
        of_pgpass,
    ),
    kind_of(  # mysql -uroot -phunter2
        CREDENTIAL,
        "mysql mariadb",
        r"(?:mysql|mariadb)(?!d\b)[\w-]{0,16}[ \t](?:[^\n]{0,200}?[ \t])?-p[\"']?(?P<secret>[^\s\"']{4,256})",
        no_marker,
        case=True,
    ),
    kind_of(
        CREDENTIAL,
        "sshpass redis-cli",
        r"(?:sshpass[ \t]{1,3}-p|redis-cli[ \t](?:[^\n]{0,200}?[ \t])?-a)[ \t]{0,3}[\"']?(?P<secret>[^\s\"']{4,256})",
        no_marker,
    ),
    kind_of(  # --password hunter2
        CREDENTIAL,
        "--",
        rf"(?<![\w-])--(?!-)[a-z\-]{{0,24}}?(?P<name>pass(?:word|wd|phrase)|secret|token|(?:api|access|secret|private|auth)-?key)"
        rf"(?P<suffix>[a-z\-]{{0,24}})[ \t]{{1,3}}(?!-)[\"']?(?P<secret>{_UNQUOTED})",
        of_an_assignment,
        closers=True,
    ),
    kind_of(  # the password is hunter2
        CREDENTIAL,
        "pass",
        r"pass(?:word|wd|phrase|code)[ \t]{1,3}(?:is|was)[ \t]?:?[ \t]{0,3}[\"'`]?(?P<secret>[^\s\"'`]{4,256})",
        with_digit,
    ),
    kind_of(  # IDENTIFIED BY 'hunter2'
        CREDENTIAL,
        "identified pass",
        r"(?:identified[ \t](?:with[ \t]\w{1,40}[ \t])?by|password)(?:[ \t]{1,3}|[ \t]{0,3}\([ \t]{0,3})"
        r"\\{0,3}(?P<quote>['\"])(?P<secret>(?:(?!\\{0,3}(?P=quote))[^\n]){1,256})\\{0,3}(?P=quote)",
        of_quoted,
    ),
    kind_of(  # docker login -u app -p hunter2
        CREDENTIAL,
        (
            "docker login",
            "podman login",
            *(f"mongo{verb} " for verb in ("", "sh", "dump", "restore", "export", "import")),
        ),
        r"(?:(?:docker|podman)[ \t]login|mongo(?:sh|dump|restore|export|import)?)[ \t](?:[^\n;&|,]{0,200}?[ \t])?-p[ \t]{1,3}[\"']?(?P<secret>[^\s\"']{4,256})",
        of_an_option,
    ),
    kind_of(  # as Redis shows what it was told: "AUTH" "hunter2"
        CREDENTIAL,
        '"auth',
        r"\"auth\\{0,3}\"[ \t]{1,3}(?:\\{0,3}\"[^\"\n]{1,64}\"[ \t]{1,3})?\\{0,3}\"(?P<secret>[^\"\n\\]{1,256})\\{0,3}\"",
        no_marker,
    ),
    kind_of(  # as Spring tells what it could not bind, on the same line or the next
        CREDENTIAL,
        ('value: "', 'value: \\"'),
        rf"{_NAMES}[^\n\]]{{0,80}}\n?[ \t]{{0,12}}Value: \\{{0,3}}\"(?P<secret>[^\"\n\\]{{1,1024}})\\{{0,3}}\"",
        of_an_assignment,
    ),
    kind_of(  # sending token 0123…
        CREDENTIAL,
        "token key",
        r"(?<![\w\-])(?:token|api[ _\-]?key)[ \t]{1,3}[\"'`]?(?P<secret>[A-Za-z0-9_]{24,512}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![\w\-])",
        with_digit,
    ),
    kind_of(
        CREDENTIAL,
        "routing_ integration_ routing-key integration-key",
        rf"(?:routing|integration)[_\-]key{_IS}[\"'`]?(?P<secret>[0-9a-f]{{32}})(?![0-9a-z])",
    ),
    kind_of(
        CREDENTIAL,
        "requirepass masterauth",
        r"(?:requirepass|masterauth)[ \t]{1,3}[\"']?(?P<secret>[^\s\"']{1,256})",
        no_marker,
    ),
    kind_of(  # <password>hunter2</password>
        CREDENTIAL,
        "</ lt;/ 3c/",
        r"(?:<|&lt;|u003c)[\w:.\-]{0,40}?(?:password|passwd|secret|token|api[_-]?key)[\w.\-]{0,20}(?:\s(?:(?!&[lg]t;|\\{1,3}u003[ce])[^<>\n]){0,200})?"
        r"(?:>|&gt;|\\{1,3}u003e)(?P<secret>(?:(?!&lt;|\\{1,3}u003c)[^<\n]){1,2000})(?:<|&lt;|\\{1,3}u003c)/",
        no_marker,
    ),
    kind_of(
        "email",
        "@",
        r"(?<![\w.%+\-])(?P<secret>[\w.%+\-]{1,64}@(?:[A-Za-z0-9\-]{1,63}\.){1,8}[A-Za-z]{2,24})(?![A-Za-z0-9\-])",
        of_mail,
    ),
    Kind(
        name="card",
        hints=(),
        pattern=re.compile(
            r"(?P<secret>[2-6](?<![\w.\-+][2-6])[0-9]{3}(?:[0-9]{9,15}|(?:[ -][0-9]{4}){3}|[ -][0-9]{6}[ -][0-9]{4,5}))(?![\w\-]|\.[0-9])"
        ),
        certain=of_card,
        needs=has_card_groups,
    ),
)
"""All built-in kinds, in the order in which they are looked for: the surer before the wider."""
