"""What does not work in a session, each with the reason and what to do instead."""

from __future__ import annotations

from typing import NamedTuple


class Rule(NamedTuple):
    """Why something does not work, and the remedy."""

    code: str
    reason: str
    remedy: str
    #: A warning is about a difference; the environment still runs.
    warning: bool = False


#: Names of the standard library that are newer than the oldest Python that runs this.
NEW_IN_GUEST = frozenset({"annotationlib", "compression", "pathlib", "string"})

#: Modules that Python 3.12 to 3.14 removed.
REMOVED = frozenset(
    "aifc asynchat asyncore audioop cgi cgitb chunk crypt distutils imghdr imp lib2to3 "
    "mailcap msilib nis nntplib ossaudiodev pipes smtpd sndhdr spwd sunau telnetlib "
    "uu xdrlib".split()
)

#: Modules of the standard library that CPython for WASI lacks.
ABSENT = {
    "ssl": "encryption of connections needs sockets, which a session does not have",
    "bz2": "the library that it wraps is not part of the guest's Python",
    "lzma": "the library that it wraps is not part of the guest's Python",
    "compression.zstd": "the library that it wraps is not part of the guest's Python",
    "compression.bz2": "the library that it wraps is not part of the guest's Python",
    "compression.lzma": "the library that it wraps is not part of the guest's Python",
    "curses": "a session has no terminal",
    "readline": "a session has no terminal",
    "termios": "a session has no terminal",
    "tty": "a session has no terminal",
    "pty": "a session has no terminal",
    "tkinter": "a session has no display",
    "turtle": "a session has no display",
    "idlelib": "a session has no display",
    "grp": "WebAssembly has no users and groups",
    "pwd": "WebAssembly has no users and groups",
    "syslog": "a session has no system log",
    "dbm.gnu": "the library that it wraps is not part of the guest's Python",
    "dbm.ndbm": "the library that it wraps is not part of the guest's Python",
    "ensurepip": "nothing can be installed in a session",
    "venv": "nothing can be installed in a session",
    "winreg": "it exists on Windows only",
    "winsound": "it exists on Windows only",
    "msvcrt": "it exists on Windows only",
}

ABSENT_REMEDY = {
    "bz2": "compress the data with gzip or zlib",
    "lzma": "compress the data with gzip or zlib",
    "compression.zstd": "compress the data with gzip or zlib",
    "compression.bz2": "compress the data with gzip or zlib",
    "compression.lzma": "compress the data with gzip or zlib",
}

#: Packages that have a build of ours, or that the SDK replaces.
PROVIDED = frozenset(
    "pydantic pydantic_core annotated_types typing_extensions typing_inspection openreward ors "
    "jiter regex yaml orjson markupsafe msgpack numpy dateutil pytz tzdata six uvicorn".split()
)

#: Requirements that a build leaves out: orwd is the server.
SERVER = frozenset(
    "fastapi starlette sse-starlette uvicorn h11 httptools uvloop websockets watchfiles gunicorn "
    "hypercorn structlog python-multipart".split()
)

#: The project on the package index, where its name is not that of the module.
PROJECTS = {
    "PIL": "pillow",
    "cv2": "opencv-python",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
    "bs4": "beautifulsoup4",
    "dotenv": "python-dotenv",
    "dateutil": "python-dateutil",
    "z3": "z3-solver",
    "fitz": "pymupdf",
    "attr": "attrs",
    "skimage": "scikit-image",
    "docx": "python-docx",
    "pptx": "python-pptx",
    "Crypto": "pycryptodome",
    "google.genai": "google-genai",
    "google.generativeai": "google-generativeai",
    "tavily": "tavily-python",
    "git": "gitpython",
    "Levenshtein": "levenshtein",
    "jose": "python-jose",
    "ors": "ors-sdk",
}

_NATIVE = Rule(
    "native-package",
    "is native code, and there is no build of it for WebAssembly",
    "",
)

_DEFAULT_REMEDY = (
    "compute it beforehand and put the result into the data folder, or use a package in pure Python"
)

#: Packages of native code without a build, with what to do instead.
NATIVE = {
    "pandas": "save the table as CSV or JSON lines in the data folder, and read it with csv, json or sqlite3",
    "pyarrow": "save the table as CSV or JSON lines in the data folder, and read it with csv, json or sqlite3",
    "tiktoken": "count words or characters, or count tokens beforehand",
    "torch": "run models outside, and call them through the agent; a reward needs no tensors",
    "tensorflow": "run models outside; a reward needs no tensors",
    "jax": "use numpy",
    "flax": "use numpy",
    "numba": "use numpy, or plain Python",
    "cupy": "use numpy",
    "transformers": "run models outside",
    "tokenizers": "count words or characters, or count tokens beforehand",
    "sentencepiece": "count words or characters, or count tokens beforehand",
    "datasets": "save the split as JSON lines in the data folder, and read it with json",
    "vllm": "run models outside",
    "sentence_transformers": "compute the embeddings beforehand, and put them into the data folder",
    "spacy": "compute the annotations beforehand, and put them into the data folder",
    "scipy": "use numpy, or implement the function that is needed",
    "sklearn": "use numpy, or compute the model beforehand and put its weights into the data folder",
    "skimage": _DEFAULT_REMEDY,
    "statsmodels": _DEFAULT_REMEDY,
    "xgboost": _DEFAULT_REMEDY,
    "lightgbm": _DEFAULT_REMEDY,
    "matplotlib": "return the numbers as text, or images that were drawn beforehand",
    "seaborn": "return the numbers as text, or images that were drawn beforehand",
    "PIL": "return images from the data folder unchanged, or draw them beforehand",
    "cv2": "prepare the images beforehand, and put them into the data folder",
    "pygame": "keep the logic of the game, and describe its state as text",
    "rdkit": _DEFAULT_REMEDY,
    "openbabel": _DEFAULT_REMEDY,
    "lxml": "use xml.etree.ElementTree or html.parser",
    "duckdb": "use sqlite3",
    "polars": "use the csv and json modules, or numpy",
    "h5py": "save the arrays as .npy, and read them with numpy",
    "tables": "save the table as CSV, and read it with csv",
    "netCDF4": "save the arrays as .npy, and read them with numpy",
    "z3": "use a solver in pure Python",
    "pycosat": "use a solver in pure Python",
    "pysat": "use a solver in pure Python",
    "ortools": "use a solver in pure Python",
    "shapely": _DEFAULT_REMEDY,
    "geopandas": _DEFAULT_REMEDY,
    "textworld": _DEFAULT_REMEDY,
    "mujoco": "simulate in plain Python or numpy",
    "pybullet": "simulate in plain Python or numpy",
    "ale_py": "simulate in plain Python or numpy",
    "faiss": "search with numpy; a few thousand vectors take a millisecond",
    "cryptography": "use hashlib, hmac and secrets",
    "Crypto": "use hashlib, hmac and secrets",
    "nacl": "use hashlib, hmac and secrets",
    "bcrypt": "use hashlib.scrypt",
    "psutil": "remove it; a session has no processes",
    "uvloop": "remove it; the SDK brings the event loop",
    "gevent": "use asyncio",
    "greenlet": "use asyncio",
    "psycopg2": "use sqlite3 with a file in the data folder",
    "asyncpg": "use sqlite3 with a file in the data folder",
    "fitz": "extract the text beforehand, and put it into the data folder",
    "pikepdf": "extract the text beforehand, and put it into the data folder",
    "ujson": "use json or orjson",
    "rapidfuzz": "use difflib",
    "Levenshtein": "use difflib",
    "cvxpy": _DEFAULT_REMEDY,
    "cffi": _DEFAULT_REMEDY,
    "zmq": "remove it; a session has no network",
    "tree_sitter": "use ast for Python sources",
    "chess.engine": "play against moves that were computed beforehand",
}

_NETWORK_REASON = "needs a network, which a session has for HTTP requests only, as `[network]` in orwd.toml asks"

#: Packages that need a network and do not work by HTTP requests of a session, with what
#: to do instead.
NETWORK = {
    "google.genai": "grade with rules or with answers in the data folder, or ask a model outside of the environment",
    "google.generativeai": "grade with rules or with answers in the data folder, or ask a model outside of the environment",
    "mistralai": "grade with rules or with answers in the data folder, or ask a model outside of the environment",
    "cohere": "grade with rules or with answers in the data folder, or ask a model outside of the environment",
    "together": "grade with rules or with answers in the data folder, or ask a model outside of the environment",
    "litellm": "grade with rules or with answers in the data folder, or ask a model outside of the environment",
    "langchain": "call the model outside of the environment",
    "exa_py": "search in documents of the data folder",
    "duckduckgo_search": "search in documents of the data folder",
    "wikipedia": "search in documents of the data folder",
    "aiohttp": "use httpx, which makes asynchronous requests too",
    "websockets": "put the documents into the data folder",
    "websocket": "put the documents into the data folder",
    "grpc": "put the documents into the data folder",
    "boto3": "put the files into the data folder",
    "botocore": "put the files into the data folder",
    "google.cloud": "put the files into the data folder",
    "huggingface_hub": "put the files into the data folder",
    "wandb": "remove it; orwd keeps a journal of each episode",
    "mlflow": "remove it; orwd keeps a journal of each episode",
    "redis": "keep the state in the object; each session has its own",
    "pymongo": "use sqlite3 with a file in the data folder",
    "pymysql": "use sqlite3 with a file in the data folder",
    "psycopg": "use sqlite3 with a file in the data folder",
    "paramiko": "a session reaches no other machine",
    "fastapi": "remove it; orwd is the server",
    "flask": "remove it; orwd is the server",
    "starlette": "remove it; orwd is the server",
    "gradio": "remove it; orwd is the server",
    "playwright": "a session has no browser; put the pages into the data folder",
    "selenium": "a session has no browser; put the pages into the data folder",
}

_SANDBOX_REASON = "starts containers or machines, which a session cannot"
_SANDBOX_REMEDY = "serve this environment with the reference server; orwd has no containers"

#: Packages that start containers, machines or processes elsewhere.
SANDBOXES = frozenset(
    "docker e2b e2b_code_interpreter modal daytona daytona_sdk runloop_api_client swebench "
    "kubernetes pexpect sh fabric vagrant libvirt ray dask pathos".split()
)

_PROCESS = Rule(
    "process",
    "starts a process, which a session cannot",
    "do the work in Python in this process; to run an agent's code, this needs the reference server",
)
_THREAD = Rule(
    "thread",
    "starts a thread, which a session cannot",
    "call the function directly, or use asyncio; asyncio.to_thread works and runs inline",
)
_SOCKET = Rule("network", f"it {_NETWORK_REASON}", "put the documents into the data folder")
_SANDBOX = Rule("sandbox", f"it {_SANDBOX_REASON}", _SANDBOX_REMEDY)
_NATIVE_CALL = Rule(
    "native-call",
    "it loads or maps native code or memory, which WebAssembly cannot",
    "use a package in pure Python, or one that has a build for WebAssembly",
)
_SYSTEM_CALL = Rule(
    "system-call",
    "WebAssembly has no such system call",
    "remove it; orwd limits the time and the memory of each session",
)
_TERMINAL = Rule(
    "terminal",
    "a session has no terminal and no standard input",
    "take the value from the task or from the arguments of a tool",
)
_ALARM = Rule(
    "alarm",
    "a session has no signals, so the handler never runs",
    "remove it; orwd limits the time of each call",
    warning=True,
)
_ARRAY_FILE = Rule(
    "numpy-file",
    "it maps the file into memory, which WebAssembly cannot",
    "use numpy.load",
)

#: Calls that do not work, by their full name. A name that ends with a dot stands for
#: everything below it.
CALLS = {
    "subprocess.": _PROCESS,
    "os.system": _PROCESS,
    "os.popen": _PROCESS,
    "os.fork": _PROCESS,
    "os.forkpty": _PROCESS,
    "os.kill": _PROCESS,
    "os.posix_spawn": _PROCESS,
    "os.execv": _PROCESS,
    "os.execve": _PROCESS,
    "os.execvp": _PROCESS,
    "os.execl": _PROCESS,
    "os.spawnv": _PROCESS,
    "os.spawnl": _PROCESS,
    "pty.spawn": _PROCESS,
    "multiprocessing.Process": _PROCESS,
    "multiprocessing.Pool": _PROCESS,
    "multiprocessing.Manager": _PROCESS,
    "multiprocessing.Queue": _PROCESS,
    "multiprocessing.get_context": _PROCESS,
    "multiprocessing.pool.Pool": _PROCESS,
    "concurrent.futures.ProcessPoolExecutor": _PROCESS,
    "concurrent.futures.process.ProcessPoolExecutor": _PROCESS,
    "asyncio.create_subprocess_exec": _PROCESS,
    "asyncio.create_subprocess_shell": _PROCESS,
    "threading.Thread": _THREAD,
    "threading.Timer": _THREAD,
    "_thread.start_new_thread": _THREAD,
    "concurrent.futures.ThreadPoolExecutor": _THREAD,
    "concurrent.futures.thread.ThreadPoolExecutor": _THREAD,
    "multiprocessing.pool.ThreadPool": _THREAD,
    "multiprocessing.dummy.Pool": _THREAD,
    "socket.": _SOCKET,
    "socketserver.": _SOCKET,
    "http.server.": _SOCKET,
    "smtplib.": _SOCKET,
    "ftplib.": _SOCKET,
    "imaplib.": _SOCKET,
    "poplib.": _SOCKET,
    "xmlrpc.client.": _SOCKET,
    "asyncio.open_connection": _SOCKET,
    "asyncio.start_server": _SOCKET,
    "webbrowser.": _SOCKET,
    "openreward.AsyncOpenReward": _SANDBOX,
    "openreward.OpenReward": _SANDBOX,
    "openreward.toolsets.": _SANDBOX,
    "ctypes.": _NATIVE_CALL,
    "mmap.mmap": _NATIVE_CALL,
    "fcntl.": _SYSTEM_CALL,
    "resource.": _SYSTEM_CALL,
    "input": _TERMINAL,
    "getpass.getpass": _TERMINAL,
    "sys.stdin.read": _TERMINAL,
    "sys.stdin.readline": _TERMINAL,
    "breakpoint": _TERMINAL,
    "pdb.set_trace": _TERMINAL,
    "signal.alarm": _ALARM,
    "signal.setitimer": _ALARM,
    "numpy.memmap": _ARRAY_FILE,
    "numpy.lib.format.open_memmap": _ARRAY_FILE,
    "pandas.read_html": Rule(
        "native-package",
        "it needs lxml, which is native code without a build for WebAssembly",
        "save the tables as CSV or Parquet in the data folder",
    ),
    "pandas.read_hdf": Rule(
        "native-package",
        "it needs tables, which is native code without a build for WebAssembly",
        "save the table as Parquet, and read it with pandas.read_parquet",
    ),
    "pandas.read_feather": Rule(
        "native-package",
        "it needs the whole of pyarrow, of which only the Parquet reader exists here",
        "save the table as Parquet, and read it with pandas.read_parquet",
    ),
    "pyarrow.parquet.write_table": Rule(
        "native-package",
        "the Parquet module of the SDK reads only",
        "write CSV or JSON",
    ),
    "gc.set_threshold": Rule(
        "difference",
        "memory of a session is limited by orwd",
        "remove it",
        warning=True,
    ),
}

#: Methods that do not work on objects of a package, by package.
METHODS = {
    "pandas": {
        "to_parquet": Rule(
            "native-package", "the Parquet module of the SDK reads only", "write CSV or JSON"
        ),
        "to_hdf": Rule(
            "native-package",
            "it needs tables, which is native code without a build for WebAssembly",
            "write CSV or JSON",
        ),
        "to_feather": Rule(
            "native-package",
            "it needs the whole of pyarrow, of which only the Parquet reader exists here",
            "write CSV or JSON",
        ),
    },
}


def of_import(module: str, standard: frozenset[str]) -> Rule | None:
    """The rule for an import of a module, if it does not work."""
    for name in prefixes(module):
        if name in ABSENT:
            remedy = ABSENT_REMEDY.get(name, "remove it")
            return Rule("absent-module", f"the guest's Python has no {name}: {ABSENT[name]}", remedy)
        if name in REMOVED:
            reason = f"Python 3.14, which the guest has, has no module {name} any more"
            return Rule("removed-module", reason, "use its successor in the standard library or on the index")
        if name in NATIVE:
            return Rule(_NATIVE.code, f"{name} {_NATIVE.reason}", NATIVE[name])
        if name in NETWORK:
            return Rule("network", f"{name} {_NETWORK_REASON}", NETWORK[name])
        if name in SANDBOXES:
            return Rule("sandbox", f"{name} {_SANDBOX_REASON}", _SANDBOX_REMEDY)
        if name in standard:
            return None
    return None


def of_call(name: str) -> Rule | None:
    """The rule for a call of a function by its full name, if it does not work."""
    if name in CALLS:
        return CALLS[name]
    for prefix in prefixes(name):
        if f"{prefix}." in CALLS and prefix != name:
            return CALLS[f"{prefix}."]
    return None


def of_requirement(project: str) -> Rule | None:
    """The rule for a package in a list of requirements, if it does not work."""
    wanted = normalized(project)
    if wanted in SERVER:
        return None
    for table in (NATIVE, NETWORK, dict.fromkeys(SANDBOXES, "")):
        for module in table:
            if normalized(PROJECTS.get(module, module)) == wanted:
                return of_import(module, frozenset())
    return None


def prefixes(name: str) -> list[str]:
    """A dotted name and what contains it, the longest first."""
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(len(parts), 0, -1)]


def normalized(project: str) -> str:
    """The name of a project as the package index compares it."""
    return project.lower().replace("_", "-").replace(".", "-")
