//! Messages between the serving process and the broker: a length and an id of
//! the request, each of fixed size, then CBOR.

use std::fmt;
use std::io;

use orwd_model::{HttpRequest, HttpResult, Secret, Secrets};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};
use zeroize::Zeroizing;

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
    /// The secrets that the session's guest does not have.
    pub(crate) secrets: Option<SecretsMessage>,
}

/// The hidden secrets of a session.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SecretsMessage {
    session: String,
    list: Vec<SecretMessage>,
}

#[derive(Serialize, Deserialize)]
struct SecretMessage {
    name: String,
    allowed_domains: Option<Vec<String>>,
    #[serde(with = "wiped")]
    value: Zeroizing<String>,
}

/// A text that is wiped on drop.
mod wiped {
    use serde::{Deserialize, Deserializer, Serializer};
    use zeroize::Zeroizing;

    pub(super) fn serialize<S: Serializer>(
        text: &Zeroizing<String>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text)
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(
        deserializer: D,
    ) -> Result<Zeroizing<String>, D::Error> {
        String::deserialize(deserializer).map(Zeroizing::new)
    }
}

impl SecretsMessage {
    /// Copies the secrets of a session; none if its guest has them, or if there are
    /// none.
    pub(crate) fn of(secrets: &Secrets) -> Option<SecretsMessage> {
        let session = secrets.hidden_as()?.to_owned();
        let list = secrets.iter().map(|secret| SecretMessage {
            name: secret.name.clone(),
            allowed_domains: secret.allowed_domains.clone(),
            value: Zeroizing::new(secret.expose().to_owned()),
        });
        Some(SecretsMessage {
            session,
            list: list.collect(),
        })
    }

    /// Returns the secrets.
    pub(crate) fn into_secrets(self) -> Secrets {
        let list = self.list.into_iter().map(|message| {
            let mut secret = Secret::new(message.name, message.value);
            secret.allowed_domains = message.allowed_domains;
            secret
        });
        let mut secrets = Secrets::new(list.collect());
        secrets.hide_as(self.session);
        secrets
    }

    fn size(&self) -> usize {
        let sizes = self.list.iter().map(|secret| {
            let domains = secret.allowed_domains.iter().flatten();
            let domains = domains.map(|domain| domain.len() + 16).sum::<usize>();
            secret.name.len() + secret.value.len() + domains + 64
        });
        sizes.sum::<usize>() + self.session.len()
    }
}

// Shows no value.
impl fmt::Debug for SecretMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=…", self.name)
    }
}

impl SendMessage {
    /// Encodes the message. It is wiped on drop, and no copy is left by a
    /// reallocation.
    pub(crate) fn encode(&self, id: u64) -> io::Result<Zeroizing<Vec<u8>>> {
        let secrets = self.secrets.as_ref().map_or(0, SecretsMessage::size);
        let size = 2 * self.request.size() + secrets + 1024;
        let mut bytes = Zeroizing::new(Vec::with_capacity(size));
        encode_into(&mut bytes, id, self)?;
        Ok(bytes)
    }
}

/// The broker's answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ResultMessage {
    pub(crate) result: HttpResult,
}

/// What becomes of the broker, in a message whose id is 0.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum BrokerEvent {
    /// It is ready.
    Ready {
        /// What it gave up, for the log.
        hardening: String,
    },
    /// It has ended; requests without a result get none.
    Ended {
        /// How it ended, for the log.
        reason: String,
    },
}

/// A message as it is sent.
pub(crate) struct RawMessage {
    pub(crate) id: u64,
    /// All of it, wiped on drop, since it may have secrets.
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

impl RawMessage {
    /// Begins a message with its header; the rest is still to be read.
    fn begin(head: [u8; HEADER]) -> io::Result<RawMessage> {
        let (length, id) = header(head)?;
        let mut bytes = Zeroizing::new(vec![0; HEADER + length]);
        for (place, byte) in bytes.iter_mut().zip(head) {
            *place = byte;
        }
        Ok(RawMessage { id, bytes })
    }

    /// Returns whether it ends the request with its id. Such a message says nothing
    /// else.
    pub(crate) fn is_cancellation(&self) -> bool {
        self.bytes.len() == HEADER
    }

    fn rest(&mut self) -> &mut [u8] {
        self.bytes.get_mut(HEADER..).unwrap_or_default()
    }

    /// Reads what the message says.
    pub(crate) fn decode<T: DeserializeOwned>(&self) -> io::Result<T> {
        decode(self.bytes.get(HEADER..).unwrap_or_default())
    }
}

/// Encodes a message.
pub(crate) fn encode(id: u64, message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    encode_into(&mut bytes, id, message)?;
    Ok(bytes)
}

/// Encodes the message that ends a request.
pub(crate) fn cancellation(id: u64) -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    write_header(&mut bytes, 0, id);
    bytes
}

/// Encodes a message into an empty buffer.
fn encode_into(bytes: &mut Vec<u8>, id: u64, message: &impl Serialize) -> io::Result<()> {
    bytes.resize(HEADER, 0);
    ciborium::into_writer(message, &mut *bytes).map_err(io::Error::other)?;
    let length = bytes.len() - HEADER;
    let length = u32::try_from(length)
        .ok()
        .filter(|_| length <= MAX_MESSAGE)
        .ok_or_else(|| io::Error::other("the message is too large"))?;
    write_header(bytes, length, id);
    Ok(())
}

fn write_header(bytes: &mut [u8], length: u32, id: u64) {
    let header = length.to_le_bytes().into_iter().chain(id.to_le_bytes());
    for (place, byte) in bytes.iter_mut().zip(header) {
        *place = byte;
    }
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
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<RawMessage>> {
    let mut head = [0; HEADER];
    match stream.read_exact(&mut head).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut message = RawMessage::begin(head)?;
    stream.read_exact(message.rest()).await?;
    Ok(Some(message))
}

/// Reads a message, and blocks.
pub(crate) fn read_blocking(stream: &mut impl io::Read) -> io::Result<RawMessage> {
    let mut head = [0; HEADER];
    stream.read_exact(&mut head)?;
    let mut message = RawMessage::begin(head)?;
    stream.read_exact(message.rest())?;
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_that_is_too_large_or_broken_is_refused() {
        let bytes = encode(7, &"all").unwrap();
        let message = read(&mut &bytes[..]).await.unwrap().unwrap();
        assert_eq!(message.id, 7);
        assert!(!message.is_cancellation());
        assert_eq!(message.decode::<String>().unwrap(), "all");
        assert!(message.decode::<u64>().is_err());
        assert!(read(&mut &[][..]).await.unwrap().is_none());
        let mut large = bytes.clone();
        large[3] = 0xff;
        assert!(read(&mut &large[..]).await.is_err());
        assert!(read(&mut &bytes[..bytes.len() - 1]).await.is_err());
        let cancelled = read(&mut &cancellation(8)[..]).await.unwrap().unwrap();
        assert!(cancelled.is_cancellation() && cancelled.id == 8);
        assert!(encode(1, &vec![0_u8; MAX_MESSAGE + 1]).is_err());
    }
}
