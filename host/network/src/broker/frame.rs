//! Messages between the serving process and the broker: a length and an id of
//! the request, each of fixed size, then CBOR.

use std::io;

use orwd_model::{HttpRequest, HttpResult};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes of the length and the id.
const HEADER: usize = 12;

/// Bytes of one message. A response is the largest, and the configuration has
/// the certificates of all authorities.
pub(crate) const MAX_MESSAGE: usize = 8 << 20;

/// How deep a message nests.
const MAX_DEPTH: usize = 16;

/// A request to the broker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SendMessage {
    /// The place of the environment's grant in the configuration.
    pub(crate) grant: usize,
    pub(crate) request: HttpRequest,
}

/// The broker's answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ResultMessage {
    pub(crate) result: HttpResult,
}

/// The broker is ready.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReadyMessage {
    /// What it gave up, for the log.
    pub(crate) hardening: String,
}

/// Encodes a message.
pub(crate) fn encode(id: u64, message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; HEADER];
    ciborium::into_writer(message, &mut bytes).map_err(io::Error::other)?;
    let length = bytes.len() - HEADER;
    let length = u32::try_from(length)
        .ok()
        .filter(|_| length <= MAX_MESSAGE)
        .ok_or_else(|| io::Error::other("the message is too large"))?;
    let header = length.to_le_bytes().into_iter().chain(id.to_le_bytes());
    for (place, byte) in bytes.iter_mut().zip(header) {
        *place = byte;
    }
    Ok(bytes)
}

/// Returns the length of a message, and its id.
fn header(bytes: [u8; HEADER]) -> io::Result<(usize, u64)> {
    let [a, b, c, d, id @ ..] = bytes;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if length > MAX_MESSAGE {
        return Err(io::Error::other("the message is too large"));
    }
    Ok((length, u64::from_le_bytes(id)))
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    ciborium::de::from_reader_with_recursion_limit(bytes, MAX_DEPTH)
        .map_err(|_| io::Error::other("the message cannot be read"))
}

/// Reads a message; none at the end of the stream.
pub(crate) async fn read<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<(u64, T)>> {
    let mut head = [0; HEADER];
    match stream.read_exact(&mut head).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let (length, id) = header(head)?;
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    Ok(Some((id, decode(&bytes)?)))
}

/// Reads a message, and blocks.
pub(crate) fn read_blocking<T: DeserializeOwned>(stream: &mut impl io::Read) -> io::Result<T> {
    let mut head = [0; HEADER];
    stream.read_exact(&mut head)?;
    let (length, _) = header(head)?;
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    decode(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_that_is_too_large_or_broken_is_refused() {
        let ready = ReadyMessage {
            hardening: "all".to_owned(),
        };
        let bytes = encode(7, &ready).unwrap();
        let (id, read_back) = read::<ReadyMessage>(&mut &bytes[..])
            .await
            .unwrap()
            .unwrap();
        assert_eq!((id, read_back.hardening.as_str()), (7, "all"));
        assert!(read::<ReadyMessage>(&mut &[][..]).await.unwrap().is_none());
        let mut large = bytes.clone();
        large[3] = 0xff;
        assert!(read::<ReadyMessage>(&mut &large[..]).await.is_err());
        assert!(
            read::<ReadyMessage>(&mut &bytes[..bytes.len() - 1])
                .await
                .is_err()
        );
        assert!(encode(1, &vec![0_u8; MAX_MESSAGE + 1]).is_err());
    }
}
