//! The memory of request bodies and of responses that clients have not read.
//!
//! A body is charged as it arrives, a response when it is encoded. The charge of
//! a response is released with its last byte: when hyper has written it to the
//! socket, not when it was handed over. Equal long responses share their bytes.
//! A list of tasks is charged to each client that is being sent it, however many
//! connections it has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use orwd_limiter::{BudgetExceeded, ByteBudget, BytePermit};

use super::client::Client;

/// The size from which a response is charged. Shorter ones are bounded by the
/// number of connections.
pub(crate) const CHARGED_FROM: usize = 4 * 1024;

/// The size from which equal responses are searched for.
const SHARED_FROM: usize = 64 * 1024;

/// The number of shared responses at which those that are gone are removed.
const SWEEP_FROM: usize = 64;

/// The memory of bodies and responses.
#[derive(Debug)]
pub(crate) struct TransferMemory {
    pub(crate) requests: Arc<ByteBudget<Client>>,
    pub(crate) responses: Arc<ByteBudget<Client>>,
    shared: Mutex<HashMap<[u8; 32], Weak<ChargedBytes>>>,
    lists: Mutex<HashMap<SentList, Weak<BytePermit<Client>>>>,
}

/// A list that is being sent: to whom, and where its first piece lies, which is
/// nothing else as long as it is being sent.
#[derive(Debug, PartialEq, Eq, Hash)]
struct SentList {
    client: Client,
    first: usize,
    length: usize,
}

/// A piece of a list, with the charge of its reader.
struct SentPiece {
    bytes: Bytes,
    _memory: Arc<BytePermit<Client>>,
}

impl AsRef<[u8]> for SentPiece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Bytes of a response, with their charge.
#[derive(Debug)]
pub(crate) struct ChargedBytes {
    bytes: Bytes,
    _memory: BytePermit<Client>,
}

impl ChargedBytes {
    pub(crate) fn new(bytes: Bytes, memory: BytePermit<Client>) -> ChargedBytes {
        ChargedBytes {
            bytes,
            _memory: memory,
        }
    }
}

/// A holder of charged bytes, which hyper keeps until they are written.
struct Holder(Arc<ChargedBytes>);

impl AsRef<[u8]> for Holder {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

/// Returns bytes that keep their charge as long as any part of them is left.
pub(crate) fn held_bytes(charged: Arc<ChargedBytes>) -> Bytes {
    Bytes::from_owner(Holder(charged))
}

impl TransferMemory {
    /// Creates the memory of this many bytes for bodies and for responses; a
    /// client gets half of each.
    pub(crate) fn new(requests: usize, responses: usize) -> TransferMemory {
        TransferMemory {
            requests: ByteBudget::new(requests, requests / 2),
            responses: ByteBudget::new(responses, responses / 2),
            shared: Mutex::default(),
            lists: Mutex::default(),
        }
    }

    /// Charges the pieces of a list to a client that is to be sent them.
    pub(crate) fn charge_list(
        &self,
        client: &Client,
        pieces: &mut [Bytes],
    ) -> Result<(), BudgetExceeded> {
        let length: usize = pieces.iter().map(Bytes::len).sum();
        if length < CHARGED_FROM {
            return Ok(());
        }
        let key = SentList {
            client: client.clone(),
            first: pieces.first().map_or(0, |piece| piece.as_ptr().addr()),
            length,
        };
        let memory = {
            let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
            match lists.get(&key).and_then(Weak::upgrade) {
                Some(memory) => memory,
                None => {
                    let memory = Arc::new(self.responses.try_take(client, length)?);
                    if lists.len() >= SWEEP_FROM {
                        lists.retain(|_, memory| memory.strong_count() > 0);
                    }
                    lists.insert(key, Arc::downgrade(&memory));
                    memory
                }
            }
        };
        for piece in pieces {
            *piece = Bytes::from_owner(SentPiece {
                bytes: std::mem::take(piece),
                _memory: memory.clone(),
            });
        }
        Ok(())
    }

    /// Charges the bytes of a response to a client. They are replaced by equal
    /// ones that another client is being sent.
    pub(crate) fn charge_response(
        &self,
        client: &Client,
        bytes: Bytes,
    ) -> Result<Bytes, BudgetExceeded> {
        if bytes.len() < CHARGED_FROM {
            return Ok(bytes);
        }
        if bytes.len() < SHARED_FROM {
            let memory = self.responses.try_take(client, bytes.len())?;
            return Ok(held_bytes(Arc::new(ChargedBytes::new(bytes, memory))));
        }
        let hash = *blake3::hash(&bytes).as_bytes();
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(equal) = shared.get(&hash).and_then(Weak::upgrade) {
            return Ok(held_bytes(equal));
        }
        let memory = self.responses.try_take(client, bytes.len())?;
        if shared.len() >= SWEEP_FROM {
            shared.retain(|_, bytes| bytes.strong_count() > 0);
        }
        let charged = Arc::new(ChargedBytes::new(bytes, memory));
        shared.insert(hash, Arc::downgrade(&charged));
        Ok(held_bytes(charged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "10.0.0.1";
    const BOB: &str = "10.0.0.2";

    fn client(address: &str) -> Client {
        Client::Address(address.parse().unwrap())
    }

    #[test]
    fn a_response_is_charged_until_its_last_part_is_gone() {
        let memory = TransferMemory::new(1, 100_000);
        let alice = client(ALICE);
        let response = memory
            .charge_response(&alice, vec![1; 30_000].into())
            .unwrap();
        let part = response.slice(10..20);
        drop(response);
        assert_eq!(memory.responses.used(), 30_000);
        let exceeded = memory.charge_response(&alice, vec![2; 30_000].into());
        assert_eq!(exceeded.unwrap_err(), BudgetExceeded::Key(50_000));
        assert!(
            memory
                .charge_response(&client(BOB), vec![2; 30_000].into())
                .is_ok()
        );
        drop(part);
        assert_eq!(memory.responses.used(), 0);
    }

    #[test]
    fn equal_long_responses_share_their_bytes() {
        let memory = TransferMemory::new(1, 1 << 20);
        let text = || Bytes::from(vec![7; 100 << 10]);
        let held: Vec<Bytes> = (0..300)
            .map(|n| client(&format!("10.0.{}.1", n % 200)))
            .map(|client| memory.charge_response(&client, text()).unwrap())
            .collect();
        assert_eq!(memory.responses.used(), 100 << 10);
        assert!(held.iter().all(|bytes| bytes.as_ptr() == held[0].as_ptr()));
        drop(held);
        assert_eq!(memory.responses.used(), 0);
    }

    #[test]
    fn a_list_is_charged_once_to_each_client_that_is_being_sent_it() {
        let memory = TransferMemory::new(1, 200_000);
        let [alice, bob] = [ALICE, BOB].map(client);
        let lists: Vec<Vec<Bytes>> = (0..3).map(|_| vec![vec![7; 20_000].into(); 2]).collect();
        let send = |to: &Client, list: usize| {
            let mut pieces = lists[list].clone();
            let charged = memory.charge_list(to, &mut pieces);
            charged.map(|()| pieces)
        };
        let sent: Vec<_> = (0..100).map(|_| send(&alice, 0).unwrap()).collect();
        assert_eq!(memory.responses.used(), 40_000);
        assert_eq!(sent[99][1].as_ptr(), lists[0][1].as_ptr(), "not copied");
        let second = send(&alice, 1).unwrap();
        let exceeded = send(&alice, 2).unwrap_err();
        assert_eq!(exceeded, BudgetExceeded::Key(100_000));
        let bobs = send(&bob, 0).unwrap();
        assert_eq!(memory.responses.used(), 120_000);
        let part = sent[50][1].slice(5..6);
        drop((sent, second, bobs));
        assert_eq!(memory.responses.used(), 40_000);
        drop(part);
        assert_eq!(memory.responses.used(), 0);
    }

    #[test]
    fn responses_that_are_gone_are_forgotten() {
        let memory = TransferMemory::new(1, 1 << 30);
        for n in 0..1000_u32 {
            let mut text = vec![0; SHARED_FROM];
            text[..4].copy_from_slice(&n.to_be_bytes());
            drop(memory.charge_response(&client(ALICE), text.into()).unwrap());
        }
        assert!(memory.shared.lock().unwrap().len() <= SWEEP_FROM);
    }
}
