//! Many items in one request.

use std::vec::Vec;

use queued_work_item_ioctl::*;
use zerocopy::{FromBytes, IntoBytes};

use super::{both, device, joined};
use crate::testing::{Answered, Client};

fn send(client: &Client<'_>, items: &[Vec<u8>]) -> (BatchReply, Vec<u32>) {
    let room = size_of::<BatchReply>() + items.len() * size_of::<u32>();
    let answered = client.call(ENQUEUE_BATCH, &super::batch(items), room);
    assert_eq!((answered.status, answered.output.len()), (STATUS_SUCCESS, room));
    split(&answered)
}

fn split(answered: &Answered) -> (BatchReply, Vec<u32>) {
    let (head, tail) = BatchReply::read_from_prefix(&answered.output).expect("a reply has a head");
    let statuses = tail
        .chunks(4)
        .map(|status| u32::from_le_bytes(status.try_into().expect("statuses are whole")))
        .collect();
    (head, statuses)
}

#[test]
fn w01_a_batch_runs_in_order() {
    let device = device();
    let client = both(&device);
    assert_eq!(client.configure(4096, 32), STATUS_SUCCESS);
    // Of every length, the shortest first: there the answer comes closest to what has not been read.
    let payload =
        |tag: u64| tag.to_le_bytes().repeat(5)[..usize::try_from(tag % 33).expect("small")].to_vec();
    let items: Vec<_> = (0..u64::from(limits::BATCH_ITEMS))
        .map(|tag| joined(Enqueue::new(0, tag), &payload(tag)))
        .collect();
    let (head, statuses) = send(&client, &items);
    assert_eq!((head.accepted, head.count), (4096, 4096));
    assert_eq!(statuses, [STATUS_SUCCESS; 4096]);
    assert_eq!(client.flush().wait().status, STATUS_SUCCESS);
    let mut from = 0;
    while from < 4096 {
        let (head, entries) = client.log(from, super::ROOM);
        for (tag, entry) in (from..).zip(&entries) {
            assert_eq!((entry.tag, entry.digest), (tag, digest(&payload(tag))));
        }
        from = head.next;
    }
}

#[test]
fn w05_each_item_of_a_batch_has_its_own_status() {
    let device = device();
    let client = both(&device);
    assert_eq!(client.configure(3, 8), STATUS_SUCCESS);
    client.gate();
    let item = |tag| Enqueue::new(0, tag);
    let items = [
        joined(item(0), &[0; 8]),
        joined(item(1), &[0; 9]),
        joined(
            Enqueue {
                reserved: 1,
                ..item(2)
            },
            &[],
        ),
        joined(Enqueue::new(1, 3), &[]),
        joined(Enqueue::new(limits::INSTANCES, 3), &[]),
        joined(item(4).with_timeout(1), &[]),
        Header::new(0).as_bytes().to_vec(),
        Vec::new(),
        joined(item(5), &[]),
        joined(item(6), &[]),
        joined(item(7), &[]),
    ];
    let (head, statuses) = send(&client, &items);
    assert_eq!((head.accepted, head.count), (3, 11));
    assert_eq!(
        statuses,
        [
            STATUS_SUCCESS,
            STATUS_INVALID_BUFFER_SIZE,
            STATUS_INVALID_PARAMETER,
            STATUS_DEVICE_NOT_READY,
            STATUS_INVALID_PARAMETER,
            STATUS_INVALID_PARAMETER,
            STATUS_INVALID_BUFFER_SIZE,
            STATUS_INVALID_BUFFER_SIZE,
            STATUS_SUCCESS,
            STATUS_SUCCESS,
            STATUS_INSUFFICIENT_RESOURCES,
        ]
    );
    client.release();
    assert_eq!(client.flush().wait().status, STATUS_SUCCESS);
    let tags: Vec<_> = client
        .log(0, super::ROOM)
        .1
        .iter()
        .map(|entry| entry.tag)
        .collect();
    assert_eq!(tags, [0, 5, 6]);
}

#[test]
fn w24_a_batch_that_does_not_add_up_enqueues_nothing() {
    let device = device();
    let client = both(&device);
    assert_eq!(client.configure(8, 8), STATUS_SUCCESS);
    let good = super::batch(&[
        joined(Enqueue::new(0, 0), &[]),
        joined(Enqueue::new(0, 1), &[1, 2]),
    ]);
    let call = |input: &[u8]| client.call(ENQUEUE_BATCH, input, super::ROOM).status;
    for count in [0_u32, 1, 3, limits::BATCH_ITEMS] {
        let mut bad = good.clone();
        bad[8..12].copy_from_slice(&count.to_le_bytes());
        assert_eq!(call(&bad), STATUS_INVALID_BUFFER_SIZE, "{count}");
    }
    for length in [0_u32, 1, 39, 41, u32::MAX] {
        let mut bad = good.clone();
        bad[16..20].copy_from_slice(&length.to_le_bytes());
        assert_eq!(call(&bad), STATUS_INVALID_BUFFER_SIZE, "{length}");
    }
    for (at, value) in [(8, limits::BATCH_ITEMS + 1), (8, u32::MAX), (12, 1)] {
        let mut bad = good.clone();
        bad[at..at + 4].copy_from_slice(&value.to_le_bytes());
        assert_eq!(call(&bad), STATUS_INVALID_PARAMETER);
    }
    assert_eq!(client.statistics().accepted, 0);
    assert_eq!(
        send(&client, &[]).0,
        BatchReply {
            accepted: 0,
            count: 0
        }
    );
    assert_eq!(call(&good), STATUS_SUCCESS);
    assert_eq!(client.flush().wait().status, STATUS_SUCCESS);
    assert_eq!(client.statistics().executed, 2);
}
