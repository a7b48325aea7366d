"""The module `ssl`, as far as clients of HTTP use it.

The host does TLS, with the certificates that it knows. What a client sets about
certificates has no effect, so a client cannot turn checks off.
"""

import enum
import sys
from types import ModuleType
from typing import Any, NamedTuple, Optional

from orwd_guest.network.sockets import TLS_BEGINS


class SSLError(OSError):
    """An error of TLS."""

    reason = library = ""


class SSLWantReadError(SSLError):
    """More has to be received first."""


class SSLCertVerificationError(SSLError, ValueError):
    """Never raised: the host checks certificates."""

    verify_code = 0
    verify_message = ""


class TLSVersion(enum.IntEnum):
    """Versions that clients name."""

    MINIMUM_SUPPORTED = -2
    SSLv3 = 768
    TLSv1 = 769
    TLSv1_1 = 770
    TLSv1_2 = 771
    TLSv1_3 = 772
    MAXIMUM_SUPPORTED = -1


class VerifyMode(enum.IntEnum):
    """How certificates are checked elsewhere."""

    CERT_NONE = 0
    CERT_OPTIONAL = 1
    CERT_REQUIRED = 2


class Purpose(enum.Enum):
    """What a context is for."""

    SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
    CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"


class MemoryBIO:
    """Bytes on their way."""

    def __init__(self) -> None:
        self._data = bytearray()
        self.eof = False

    @property
    def pending(self) -> int:
        return len(self._data)

    def write(self, data: Any) -> int:
        self._data += data
        return len(data)

    def read(self, size: int = -1) -> bytes:
        size = len(self._data) if size < 0 else size
        data = bytes(self._data[:size])
        del self._data[:size]
        return data

    def write_eof(self) -> None:
        self.eof = True


class SSLObject:
    """TLS without a socket. It passes on what it gets, since the host does the rest."""

    context: Any = None
    server_side = False
    session = None
    session_reused = False

    def __init__(self, incoming: MemoryBIO, outgoing: MemoryBIO, server_hostname: Optional[str]) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self.server_hostname = server_hostname

    def do_handshake(self) -> None:
        self._outgoing.write(TLS_BEGINS)

    def write(self, data: Any) -> int:
        return self._outgoing.write(data)

    def read(self, size: int = 1024, buffer: Any = None) -> Any:
        data = self._incoming.read(size)
        if not data and not self._incoming.eof:
            raise SSLWantReadError("nothing has been received")
        if buffer is None:
            return data
        buffer[: len(data)] = data
        return len(data)

    def pending(self) -> int:
        return self._incoming.pending

    def unwrap(self) -> None:
        """There is nothing to end."""

    def selected_alpn_protocol(self) -> None:
        return None

    def selected_npn_protocol(self) -> None:
        return None

    def getpeercert(self, binary_form: bool = False) -> Any:
        """Returns the name that the host has checked."""
        return b"" if binary_form else {"subjectAltName": (("DNS", self.server_hostname or ""),)}

    def cipher(self) -> tuple[str, str, int]:
        return ("TLS_AES_128_GCM_SHA256", "TLSv1.3", 128)

    def compression(self) -> None:
        return None

    def version(self) -> str:
        return "TLSv1.3"

    def get_channel_binding(self, cb_type: str = "tls-unique") -> None:
        return None


class SSLContext:
    """Settings that are kept and have no effect."""

    def __init__(self, protocol: Any = None) -> None:
        self.protocol = protocol
        self.check_hostname = True
        self.verify_mode: Any = VerifyMode.CERT_REQUIRED
        self.verify_flags = self.options = 0
        self.minimum_version = TLSVersion.TLSv1_2
        self.maximum_version = TLSVersion.MAXIMUM_SUPPORTED
        self.post_handshake_auth = False
        self.hostname_checks_common_name = False
        self.keylog_filename = None
        self.sni_callback = None

    def wrap_socket(self, sock: Any, *args: Any, server_hostname: Any = None, **options: Any) -> Any:
        """What follows on the connection is sent by TLS."""
        sock.start_tls()
        for name in ("version", "cipher", "selected_alpn_protocol", "getpeercert"):
            setattr(sock, name, getattr(SSLObject(MemoryBIO(), MemoryBIO(), server_hostname), name))
        return sock

    def wrap_bio(
        self, incoming: Any, outgoing: Any, server_side: bool = False, server_hostname: Any = None, **options: Any
    ) -> SSLObject:
        made = SSLObject(incoming, outgoing, server_hostname)
        made.context = self
        return made

    def cert_store_stats(self) -> dict[str, int]:
        return {"x509": 0, "crl": 0, "x509_ca": 0}

    def get_ca_certs(self, binary_form: bool = False) -> list[Any]:
        return []

    def get_ciphers(self) -> list[Any]:
        return []

    def load_verify_locations(self, *args: Any, **options: Any) -> None:
        """The host knows the authorities."""

    load_default_certs = load_cert_chain = set_default_verify_paths = load_verify_locations
    set_ciphers = set_alpn_protocols = set_npn_protocols = set_ecdh_curve = load_verify_locations


def _context(*args: Any, **options: Any) -> SSLContext:
    return SSLContext()


class VerifyPaths(NamedTuple):
    """Where authorities are elsewhere."""

    cafile: Optional[str] = None
    capath: Optional[str] = None
    openssl_cafile_env: str = "SSL_CERT_FILE"
    openssl_cafile: str = "/etc/ssl/cert.pem"
    openssl_capath_env: str = "SSL_CERT_DIR"
    openssl_capath: str = "/etc/ssl/certs"


def _paths() -> VerifyPaths:
    return VerifyPaths()


def _nothing() -> None:
    """Checks are the host's."""


def _other(name: str) -> Any:
    """Returns an option without effect, or a class that nothing is an instance of."""
    if name.startswith("_") or not name[0].isupper():
        raise AttributeError(f"module 'ssl' has no attribute {name!r}")
    return 0 if name.isupper() or name.startswith(("OP_", "PROTOCOL_")) else type(name, (), {})


def install() -> None:
    """Makes this the module `ssl`."""
    module: Any = ModuleType("ssl")
    module.__doc__ = __doc__
    own = globals()
    for name in (
        "SSLError",
        "SSLWantReadError",
        "SSLCertVerificationError",
        "TLSVersion",
        "VerifyMode",
        "Purpose",
        "MemoryBIO",
        "SSLObject",
        "SSLContext",
    ):
        setattr(module, name, own[name])
    module.CertificateError = SSLCertVerificationError
    for name in ("SSLWantWriteError", "SSLZeroReturnError", "SSLEOFError", "SSLSyscallError"):
        setattr(module, name, type(name, (SSLError,), {}))
    for name in (
        "create_default_context",
        "_create_default_https_context",
        "_create_unverified_context",
        "_create_stdlib_context",
    ):
        setattr(module, name, _context)
    module.get_default_verify_paths = _paths
    for member in VerifyMode:
        setattr(module, member.name, member)
    module.__getattr__ = _other
    module.HAS_SNI = module.HAS_ALPN = module.HAS_TLSv1_3 = module.HAS_TLSv1_2 = True
    module.HAS_NEVER_CHECK_COMMON_NAME = True
    module.HAS_NPN = module.HAS_PSK = False
    module.OPENSSL_VERSION = "OpenSSL 3.0.0 (of the host)"
    module.OPENSSL_VERSION_NUMBER = 0x30000000
    module.OPENSSL_VERSION_INFO = (3, 0, 0, 0, 0)
    sys.modules["ssl"] = module
    # It verifies certificates by the system's functions, of which there are none.
    store: Any = ModuleType("truststore")
    store.SSLContext = SSLContext
    store.inject_into_ssl = store.extract_from_ssl = _nothing
    sys.modules["truststore"] = store
