//! What a server must still be able to do after hardening.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::time::Duration;

use cap_std::fs::Dir;

use super::scene::{Ended, Scene};

pub(crate) type Duty = (&'static str, fn(&Scene) -> Ended);

pub(crate) const ALL: &[Duty] = &[
    ("read a file of the data", |scene| {
        is(fs::read_to_string(scene.at("data/file")), "data")
    }),
    ("read it below a descriptor", |scene| {
        let dir = Dir::from_std_file(ended(scene.data.try_clone())?);
        is(dir.read_to_string("file"), "data")
    }),
    ("list the data", |scene| {
        let mut names = 0;
        for entry in ended(fs::read_dir(scene.at("data")))? {
            ended(ended(entry)?.metadata())?;
            names += 1;
        }
        expect(names == 3)
    }),
    ("read the keys", |scene| {
        let file = ended(File::open(scene.at("keys/keys.toml")))?;
        ended(file.lock_shared())?;
        is(fs::read_to_string(scene.at("keys/keys.toml")), "keys")
    }),
    ("publish a file", |scene| {
        ended(fs::create_dir(scene.at("shared/results")))?;
        let draft = scene.at("shared/results/draft");
        let mut file = ended(OpenOptions::new().write(true).create_new(true).open(&draft))?;
        ended(file.write_all(b"result"))?;
        ended(file.sync_all())?;
        ended(fs::hard_link(&draft, scene.at("shared/results/kept")))?;
        ended(fs::rename(&draft, scene.at("shared/results/placed")))?;
        ended(fs::remove_file(scene.at("shared/results/kept")))?;
        is(
            fs::read_to_string(scene.at("shared/results/placed")),
            "result",
        )
    }),
    ("spill to a file without a name", |scene| {
        let mut file = ended(tempfile::tempfile_in(scene.at("tmp/private")))?;
        ended(file.write_all(&vec![7; 1 << 20]))?;
        ended(file.set_len(1 << 10))
    }),
    ("measure the free disk space", |scene| {
        let space = rustix::fs::fstatvfs(&scene.data);
        expect(space.is_ok_and(|space| space.f_frsize > 0))
    }),
    ("remove the temporary directory", |scene| {
        ended(fs::remove_dir(scene.at("tmp/private")))
    }),
    ("serve a connection", |scene| {
        let (mut stream, _) = ended(scene.listener.accept())?;
        let mut bytes = [0; 5];
        ended(stream.set_nodelay(true))?;
        ended(stream.read_exact(&mut bytes))?;
        ended(stream.write_all(&bytes))
    }),
    ("start threads, a clock and a listener for signals", |_| {
        let runtime = ended(
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build(),
        )?;
        runtime.block_on(async {
            let kind = tokio::signal::unix::SignalKind::terminate();
            drop(ended(tokio::signal::unix::signal(kind))?);
            tokio::time::sleep(Duration::from_millis(5)).await;
            let slept = tokio::spawn(tokio::time::sleep(Duration::from_millis(1)));
            expect(slept.await.is_ok())
        })
    }),
    ("create copy-on-write memory", |_| {
        let memory = rustix::fs::memfd_create("image", rustix::fs::MemfdFlags::CLOEXEC);
        let mut memory = File::from(memory.map_err(rustix::io::Errno::raw_os_error)?);
        ended(memory.write_all(b"image"))
    }),
    ("read the clock and get random numbers", |_| {
        let _: u64 = rand::random();
        expect(std::time::SystemTime::now() > std::time::UNIX_EPOCH)
    }),
];

fn ended<T>(result: std::io::Result<T>) -> Result<T, i32> {
    result.map_err(|error| error.raw_os_error().unwrap_or(-1))
}

fn is(text: std::io::Result<String>, expected: &str) -> Ended {
    expect(ended(text)? == expected)
}

fn expect(fulfilled: bool) -> Ended {
    fulfilled.then_some(()).ok_or(-1)
}
