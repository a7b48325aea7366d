//! The engine's own WASI file system, for comparison: a component in an embedding
//! as in the engine's manual, with the data directory as a preopen.
//!
//! It is asynchronous, as a server of many sessions has to be, so each file
//! operation runs on a blocking thread. Its arguments are the component and the
//! directory. It opens one session and reads calls from standard input, one line
//! each: the tool, a space, and the input as JSON. It writes the text of each
//! result as a line. An error ends it.

use std::error::Error;
use std::io::{BufRead as _, Write as _};
use std::path::Path;

use orwd_bindings::Environment;
use orwd_bindings::orwd::environment::types::Block;
use tokio::runtime::Runtime;
use wasmtime::component::{Component, Linker, ResourceAny, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};

type StockResult<T> = Result<T, Box<dyn Error>>;

fn main() -> StockResult<()> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(component), Some(data)) = (arguments.next(), arguments.next()) else {
        return Err("orwd-bench-stock COMPONENT DIRECTORY".into());
    };
    let mut stock = StockHost::open(component.as_ref(), data.as_ref())?;
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (tool, input) = line.split_once(' ').ok_or("a call without its input")?;
        writeln!(out, "{}", stock.call(tool, input)?)?;
        out.flush()?;
    }
    Ok(())
}

/// A session of the fixture `files`.
struct StockHost {
    runtime: Runtime,
    store: Store<StockState>,
    exports: Environment,
    session: ResourceAny,
}

struct StockState {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for StockState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl StockHost {
    /// Opens a session that sees this directory as `/orwd_data`.
    fn open(component: &Path, data: &Path) -> StockResult<Self> {
        let runtime = Runtime::new()?;
        let engine = Engine::default();
        let component = Component::from_file(&engine, component)?;
        let mut linker = Linker::<StockState>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        let mut wasi = WasiCtx::builder();
        wasi.preopened_dir(data, "/orwd_data", FsPerms::ReadOnly)?;
        let state = StockState {
            wasi: wasi.build(),
            table: ResourceTable::new(),
        };
        let mut store = Store::new(&engine, state);
        let (exports, session) = runtime.block_on(async {
            let exports = Environment::instantiate_async(&mut store, &component, &linker).await?;
            let episode = exports.orwd_environment_orwd_episode().session();
            let session = episode.call_open(&mut store, "{}", &[], 0).await;
            let session = session??;
            episode.call_setup(&mut store, session).await??;
            Ok::<_, Box<dyn Error>>((exports, session))
        })?;
        Ok(Self {
            runtime,
            store,
            exports,
            session,
        })
    }

    /// Calls a tool and returns the text of its result.
    fn call(&mut self, tool: &str, input: &str) -> StockResult<String> {
        let episode = self.exports.orwd_environment_orwd_episode().session();
        let called = episode.call_call(&mut self.store, self.session, tool, input);
        let output = self.runtime.block_on(called)?;
        match output.map_err(|error| format!("{error:?}"))?.blocks.pop() {
            Some(Block::Text(block)) => Ok(block.text),
            other => Err(format!("not a text: {other:?}").into()),
        }
    }
}
