# The names of this package, each with its home: type checkers read them here, and `lazy_names` at run time.
from polysession.testing.backend import (
    Backend as Backend,
    Script as Script,
)
from polysession.testing.base import (
    CANARY as CANARY,
)
from polysession.testing.contract import (
    BackendContract as BackendContract,
    ProviderContract as ProviderContract,
)
from polysession.testing.errors import (
    ErrorContract as ErrorContract,
)
from polysession.testing.faces import (
    Face as Face,
)
from polysession.testing.flows import (
    ok as ok,
    step as step,
)
from polysession.testing.marks import (
    Gap as Gap,
    covers as covers,
    features_shown as features_shown,
    never as never,
    not_done_here as not_done_here,
    not_offered_yet as not_offered_yet,
)
from polysession.testing.server_process import (
    ServerProcess as ServerProcess,
    process as process,
)
from polysession.testing.service_proxy import (
    proxy as proxy,
)
from polysession.testing.suite import (
    LiveBackend as LiveBackend,
    SuiteBackend as SuiteBackend,
)
from polysession.testing.tape import (
    Tape as Tape,
    TapeMismatch as TapeMismatch,
)
from polysession.testing.tape_file import (
    TapeError as TapeError,
    TapeFile as TapeFile,
    read_tape as read_tape,
)
