"""What secrets look like: a table of kinds, each with the words without which it cannot be there. Pure data.

Every pattern takes time that grows with the length of the text and no faster: a repeat begins where nothing of its own
class stands before it, is bounded, or is followed by what it cannot contain itself. The group ``secret`` is what goes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from bridge.secret_checks import (
    has_card_groups,
    has_long_base64,
    mixed,
    no_marker,
    of_an_assignment,
    of_bare_header,
    of_basic,
    of_card,
    of_encoded_userinfo,
    of_header,
    of_mail,
    of_pem_body,
    of_pgpass,
    of_userinfo,
    on_the_next_line,
    with_digit,
)


def marked(kind: str) -> str:
    """The marker of a kind."""
    return f"[REDACTED:{kind}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of secret.

    ``hints``: in lower case; the pattern is only tried where one of them occurs. ``needs``: the same of a kind that no
    word gives away. ``certain``: whether a match is one; what looks like a secret and is none stays.
    """

    name: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    certain: Callable[[re.Match[str]], bool] | None = None
    closers: bool = False
    """Whether brackets at its end belong to what stands around it."""
    needs: Callable[[str], bool] | None = None


def _kind(
    name: str,
    hints: str,
    pattern: str,
    certain: Callable[[re.Match[str]], bool] | None = None,
    *,
    case: bool = False,
    closers: bool = False,
) -> Kind:
    flags = re.NOFLAG if case else re.IGNORECASE
    return Kind(
        name=name,
        hints=tuple(hints.split()),
        pattern=re.compile(pattern, flags),
        certain=certain,
        closers=closers,
    )


CREDENTIAL = "credential"
"""The kind of a value that is secret by the name it stands under."""

_NAMES = (
    r"(?P<name>pass(?:word|wd|phrase|code|wort)|pwd|secret|(?<!unexpected )token|credential"
    r"|(?:api|access|secret|private|encryption|signing|auth|master|account|shared[_\-. ]?access|storage|hmac"
    r"|service[_\-. ]?role|licen[sc]e|subscription|jwt|cookie|session)[_\-. ]?key"
    r"|(?<![a-z])(?:pass(?=\\{0,3}[\"']?[ \t]{0,3}=|[\"'])|pw|sid|session_?id|phpsessid|jsessionid|otp|cvv2?|cvc|ssn"
    r"|sig|signature|_auth)(?![a-z]))(?P<suffix>[\w.\-]{0,40})"
)
_ESCAPED_QUOTE = r"(?:&(?:amp;){0,3}(?:quot|apos|#0{0,4}3[49]|#x0{0,4}2[27]);|\\{1,3}u002[27])"
_ESCAPED_SIGN = r"&(?:amp;){0,3}(?:equals|colon|#0{0,4}(?:61|58)|#x0{0,4}3[ad]);|\\{1,3}u003[ad]"
"""A quote, ``=`` and ``:`` as HTML and the JSON of some languages escape them."""

_OPEN = rf"(?:{_ESCAPED_QUOTE}|\\{{0,3}}[\"']?)"
_IS = rf"{_OPEN}(?:\]?[ \t]{{0,3}}=>|[ \t]{{0,3}}(?::=|==?|[:\uff1a\uff1d]|%(?:25){{0,3}}3[ad]|{_ESCAPED_SIGN}))[ \t]{{0,3}}"
"""Between a name and its value: also as PHP prints it (``[password] => x``), escaped, and of full width."""

_UNQUOTED = (
    r"(?:[^\s\"'`,;&|\\]|[,;&|](?!\s|$|[\\\"'`]|[\w.\-]{1,40}\\{0,3}[\"']?[=:])|\\(?![\"'nrt])){1,4096}"
)
"""Up to what ends a value: a blank, a quote, or a separator before the next name."""

_NAME_HINTS = "pass pwd secret token credential key pw sid session otp cvv cvc ssn sig _auth"  # every word that _NAMES knows
_SCHEMES = r"(?:basic|bearer|token|apikey|api-key|key|negotiate|ntlm|ssws|dpop|splunk|geniekey)"
_PAIR = r"[a-z]{1,20}=(?:\"[^\"\n]{0,1024}\"|[^\s,\"]{0,1024})"

_UNDER_A_NAME = _kind(
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
    _kind(  # each line of it behind a time or a name, as loggers write them
        "private_key",
        "private",
        r"(?P<secret>-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----[ \t]{0,8}"
        r"(?:\s[^\n]{0,120}?(?<![A-Za-z0-9+/=])[A-Za-z0-9+/=]{20,512}[ \t]{0,8}(?=\s|$)){1,200}"
        r"(?:\s[^\n]{0,140}(?=\s[^\n]{0,120}-----END ))?"
        r"(?:\s[^\n]{0,120}-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?)",
    ),
    _kind(
        "private_key",
        "private",
        r"(?P<secret>-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?:\s|\\+[nr])+(?:(?:proc-type|dek-info|version|comment): [^\n\\]{0,100}|[A-Za-z0-9+/=]{20,512}))*"
        r"(?:(?:\s|\\+[nr])+=?[A-Za-z0-9+/=]{1,512}(?=(?:\s|\\+[nr])*(?:=[A-Za-z0-9+/]{4}(?:\s|\\+[nr])*)?-----END))?"
        r"(?:(?:\s|\\+[nr])*(?:=[A-Za-z0-9+/]{4}(?:\s|\\+[nr])*)?-----END [A-Z0-9 ]{0,40}-----)?)",
    ),
    _kind(  # its end alone, where the beginning was cut off
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
    _kind("url_userinfo", "@", r"(?<=://)(?P<secret>[^\s/?#\"'<>`\\]{1,4096})@", of_userinfo),
    _kind(  # a password with a slash in it, which belongs encoded and often is not
        "url_userinfo",
        "@",
        r"(?<=://)(?P<secret>[^\s/?#@:\"'<>\\]{0,128}:(?![0-9]{1,5}(?:[/?#]|$))[^\s@\"'<>\\]{1,256})@[\w.-]{1,253}(?=[:/?#\s\"',)]|$)",
        of_userinfo,
    ),
    _kind(  # the same within another URL
        "url_userinfo",
        "%40",
        r"%3a(?:%2f|/){2}(?P<secret>[^\s/?#&\"'<>]{1,256}?)%40",
        of_encoded_userinfo,
    ),
    _kind(
        "connection_string",
        "@tcp( @unix(",
        r"(?<![\w.\-])[\w.\-]{1,64}:(?P<secret>[^\s@]{1,128})@(?:tcp|unix)\(",
        no_marker,
    ),
    _kind("connection_string", ":thin:", r"(?<=:thin:)(?P<secret>[^\s/:@]{1,64}/[^\s@]{1,128})@", no_marker),
    _kind(
        "webhook_url",
        "/services/ /workflows/ /triggers/ /api/webhooks/ webhook",
        r"(?:hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/webhooks/|(?<!\w)/services/(?=T[A-Z0-9]{6,12}/B)"
        r"|[\w.-]{1,64}\.webhook\.office\.com/|outlook\.office(?:365)?\.com/webhook/)(?P<secret>[\w/@%.\-]{8,1024})",
    ),
    _kind(
        "authorization",
        "authorization",
        rf"authorization{_IS}{_OPEN}{_SCHEMES}[ \t]{{1,3}}(?P<secret>[^\s\"',;\\]{{4,8192}})",
        of_header,
    ),
    _kind(
        "authorization",
        "authorization",
        rf"authorization{_IS}{_OPEN}(?:aws4-hmac-sha256|digest|oauth|signature|hawk)[ \t]{{1,3}}"
        rf"(?P<secret>{_PAIR}(?:,[ \t]{{0,3}}{_PAIR}){{0,30}})",
    ),
    _kind(
        "authorization",
        "authorization",
        rf"authorization{_IS}{_OPEN}(?!(?:aws4-hmac|digest|oauth|signature|hawk))"
        r"(?P<secret>[^\s\"',;\\]{8,8192})",
        of_bare_header,
    ),
    _kind(
        "cookie",
        "cookie",
        r"cookie\\{0,3}[\"']?[ \t]{0,3}[:=][ \t]{0,3}\\{0,3}[\"']?"
        r"(?P<secret>[\w!#$%&*+.^|~\-]{1,64}=[^\s;,\"'\\]{0,4096}(?:;[ \t]?[\w!#$%&*+.^|~\-]{1,64}(?:=[^\s;,\"'\\]{0,4096}|(?=[;,\s\"'\\]|$))){0,64})",
    ),
    _kind(
        "bearer",
        "bearer",
        r"(?<![a-z])bearer(?:[ \t]{1,3}|[ \t]{0,3}\n[ \t]{0,8})(?P<secret>[A-Za-z0-9._~+/\-]{8,8192}={0,2})(?![\w=])",
        with_digit,
    ),
    _kind(
        "basic_auth", "basic", r"(?<![a-z])basic[ \t]{1,3}(?P<secret>[A-Za-z0-9+/]{4,1024}={0,2})", of_basic
    ),
    _kind(
        "basic_auth",
        "curl",
        r"curl[ \t][^\n]{0,200}?(?:-u|--user)[ \t=]{1,3}[\"']?(?P<secret>[^\s:\"']{1,64}:[^\s\"']{1,256})",
        no_marker,
    ),
    _kind(
        "jwt",
        "eyj",
        r"(?<![A-Za-z0-9_-])(?P<secret>eyJ[\w-]{8,8192}\.[\w-]{4,8192}(?:\.[\w-]{0,8192}){0,3})",
        case=True,
    ),
    _kind("anthropic_key", "sk-ant-", r"(?P<secret>sk-ant-[\w-]{8,512})"),
    _kind("openai_key", "sk-", r"(?<![a-z0-9])(?P<secret>sk-[\w-]{16,512})", with_digit),
    _kind(
        "aws_access_key_id",
        "akia asia abia acca agpa aida aipa anpa anva aroa",
        r"(?<![A-Za-z0-9])(?P<secret>(?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AIPA|ANPA|ANVA|AROA)[A-Z0-9]{16})(?![A-Za-z0-9])",
        case=True,
    ),
    _kind(
        "aws_secret_key",
        "aws",
        r"aws[^\n]{0,40}?[\"'=: ](?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])",
        mixed,
    ),
    _kind(
        "github_token",
        "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
        r"(?P<secret>(?:gh[pousr]|github_pat)_\w{16,255})",
        with_digit,
    ),
    _kind(
        "gitlab_token",
        "glpat- gldt- glrt- glcbt- glptt- glft- glsoat- glagent- glimt- gr1348941",
        r"(?<![a-z0-9])(?P<secret>gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|imt)-[\w.-]{16,255}|GR1348941[\w-]{16,255})",
    ),
    _kind(
        "slack_token",
        "xox xapp-",
        r"(?<![a-z0-9])(?P<secret>xox[a-z](?:\.xox[a-z])?-[\w-]{8,512}|xapp-[\w-]{8,512})",
    ),
    _kind(
        "google_key",
        "aiza ya29. gocspx- 1//0",
        r"(?<![\w-])(?P<secret>AIza[\w-]{30,64}|ya29\.[\w-]{16,2048}|GOCSPX-[\w-]{16,64}|1//0[\w-]{20,512})",
        case=True,
    ),
    _kind(
        "stripe_key",
        "_live_ _test_ whsec_",
        r"(?<![a-z0-9])(?P<secret>(?:[srp]k_(?:live|test)_|whsec_)[A-Za-z0-9]{10,255})",
        with_digit,
    ),
    _kind("npm_token", "npm_", r"(?<![a-z0-9])(?P<secret>npm_[A-Za-z0-9]{30,64})"),
    _kind("pypi_token", "pypi-", r"(?<![a-z0-9])(?P<secret>pypi-AgE[\w-]{16,512})"),
    _kind("sendgrid_key", "sg.", r"(?<![A-Za-z0-9])(?P<secret>SG\.[\w-]{16,64}\.[\w-]{16,128})", case=True),
    _kind(
        "vendor_token",
        "hvs. hvb. hvr. dop_v1_ doo_v1_ dor_v1_ dckr_pat_ dckr_oat_ glsa_ glc_ hf_ shpat_ shpca_ shppa_ shpss_ dapi lin_api_ ntn_ "
        "gsk_ age-secret-key- .atlasv1. key- tskey- nvapi- r8_ :aa",
        r"(?<![A-Za-z0-9])(?P<secret>hv[sbr]\.[\w-]{20,512}|do[opr]_v1_[a-f0-9]{40,64}|dckr_[po]at_[\w-]{16,64}|glsa_\w{24,64}"
        r"|glc_[\w+/=]{24,512}|hf_[A-Za-z0-9]{24,64}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{24,64}|dapi[a-f0-9]{32}|lin_api_[A-Za-z0-9]{24,64}"
        r"|ntn_[A-Za-z0-9]{24,64}|gsk_[A-Za-z0-9]{24,64}|AGE-SECRET-KEY-1[0-9A-Z]{40,64}|[A-Za-z0-9]{14}\.atlasv1\.[\w-]{40,128}"
        r"|key-[0-9a-f]{32}|tskey-[\w-]{16,128}|nvapi-[\w-]{24,128}|r8_[A-Za-z0-9]{24,64}|[0-9]{8,10}:AA[\w-]{30,40})(?![A-Za-z0-9])",
        case=True,
    ),
    _UNDER_A_NAME,
    _kind(
        CREDENTIAL,
        "quot; apos; &# amp;# u002",
        rf"{_NAMES}{_IS}{_ESCAPED_QUOTE}(?P<secret>(?:(?!{_ESCAPED_QUOTE})[^\"\n]){{1,4096}})",
        of_an_assignment,
    ),
    _kind(
        CREDENTIAL,
        _NAME_HINTS,
        rf"{_NAMES}{_IS}\\{{1,3}}[\"'](?P<secret>[^\"'\\\n]{{1,4096}})\\{{1,3}}[\"']",
        of_an_assignment,
    ),
    _kind(
        CREDENTIAL,
        _NAME_HINTS,
        rf"{_NAMES}{_IS}(?!{_ESCAPED_QUOTE})\\{{0,3}}[\"'`]?(?P<secret>{_UNQUOTED})",
        of_an_assignment,
        closers=True,
    ),
    _kind(  # on the line below its name, as in YAML's blocks; " | " is a health check's line end
        CREDENTIAL,
        _NAME_HINTS,
        rf"{_NAMES}{_IS}(?:[|>][+-]?[ \t]{{0,8}}\n?|\n)[ \t]{{0,40}}[\"']?"
        r"(?P<secret>[^\s\"'\[]{6,512})[\"']?(?=[ \t]{0,8}(?:\n|$|[|;,]))",
        on_the_next_line,
    ),
    _kind(  # ?key=AbCd1234EfGh5678
        CREDENTIAL,
        "?key= &key= ?code= &code= ?auth= &auth=",
        r"(?<=[?&])(?:key|code|auth)=(?P<secret>[^\s&#\"'<>]{16,1024})",
        mixed,
    ),
    _kind(
        CREDENTIAL,
        "$1$ $5$ $6$ $y$ $2a$ $2b$ $2y$ $apr1$ $argon2",
        r"(?P<secret>\$(?:[156y]|2[aby]|apr1|argon2(?:id|i|d))\$[\w./$=,+\-]{20,512})",
    ),
    _kind(  # a line of ~/.pgpass: db:5432:shop:app:hunter2
        CREDENTIAL,
        ":543 :6432: :*:",
        rf"(?<![^\s\"'`(\[])(?:{_HOST}:(?:543[0-9]|6432):{_FIELD}|{_HOST}:\*:\*|\*:\*:{_FIELD}):{_FIELD}"
        r":(?P<secret>(?:\\.|[^\s:\\\"'`]){1,256})(?=[\"'`)\],;]{0,2}(?:\s|$))",
        of_pgpass,
    ),
    _kind(  # mysql -uroot -phunter2
        CREDENTIAL,
        "mysql mariadb",
        r"(?:mysql|mariadb)[\w-]{0,16}[ \t](?:[^\n]{0,200}?[ \t])?-p[\"']?(?P<secret>[^\s\"']{4,256})",
        no_marker,
        case=True,
    ),
    _kind(
        CREDENTIAL,
        "sshpass redis-cli",
        r"(?:sshpass[ \t]{1,3}-p|redis-cli[ \t](?:[^\n]{0,200}?[ \t])?-a)[ \t]{0,3}[\"']?(?P<secret>[^\s\"']{4,256})",
        no_marker,
    ),
    _kind(  # --password hunter2
        CREDENTIAL,
        "--",
        rf"(?<![\w-])--(?!-)[a-z\-]{{0,24}}?(?P<name>pass(?:word|wd|phrase)|secret|token|(?:api|access|secret|private|auth)-?key)"
        rf"(?P<suffix>[a-z\-]{{0,24}})[ \t]{{1,3}}(?!-)[\"']?(?P<secret>{_UNQUOTED})",
        of_an_assignment,
        closers=True,
    ),
    _kind(  # the password is hunter2
        CREDENTIAL,
        "pass",
        r"pass(?:word|wd|phrase|code)[ \t]{1,3}(?:is|was)[ \t]?:?[ \t]{0,3}[\"'`]?(?P<secret>[^\s\"'`]{4,256})",
        with_digit,
    ),
    _kind(  # IDENTIFIED BY 'hunter2'
        CREDENTIAL,
        "identified pass",
        r"(?:identified[ \t](?:with[ \t]\w{1,40}[ \t])?by|password)[ \t]{1,3}'(?P<secret>[^'\n]{1,256})'",
        no_marker,
    ),
    _kind(
        CREDENTIAL,
        "requirepass masterauth",
        r"(?:requirepass|masterauth)[ \t]{1,3}[\"']?(?P<secret>[^\s\"']{1,256})",
        no_marker,
    ),
    _kind(  # <password>hunter2</password>
        CREDENTIAL,
        "</ lt;/ 3c/",
        r"(?:<|&lt;|u003c)[\w:.\-]{0,40}?(?:password|passwd|secret|token|api[_-]?key)[\w.\-]{0,20}(?:\s(?:(?!&[lg]t;|\\{1,3}u003[ce])[^<>\n]){0,200})?"
        r"(?:>|&gt;|\\{1,3}u003e)(?P<secret>(?:(?!&lt;|\\{1,3}u003c)[^<\n]){1,2000})(?:<|&lt;|\\{1,3}u003c)/",
        no_marker,
    ),
    _kind(
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
