//! A bare star: the replica of rank 0 leads because it is told so. It answers a get at once. It
//! sends a put to f of the others, which take turns, and answers when all f have said that they
//! have it. It keeps no log, and nothing is sent twice: it is a control on a network that loses
//! nothing, not a replica that one can trust.

use std::borrow::Cow;
use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::net::UdpSocket;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The environment variable that makes this program a star's replica.
pub const VARIABLE: &str = "BARE_STAR";

const LEADER: &str = "0000";
const EVERYONE: &str = "FFFF";
/// Without a datagram for this long the simulator is gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// A datagram. Absent keys are not written.
#[derive(Serialize, Deserialize)]
struct Datagram<'a> {
    #[serde(borrow)]
    src: Cow<'a, str>,
    dst: Cow<'a, str>,
    leader: Cow<'a, str>,
    r#type: Cow<'a, str>,
    #[serde(rename = "MID", default, skip_serializing_if = "Option::is_none")]
    mid: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Cow<'a, str>>,
    /// Which put of the leader is copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
}

/// A put that not all of its f others have yet.
struct Waiting {
    client: String,
    mid: String,
    key: String,
    value: String,
    missing: usize,
}

struct Star {
    socket: UdpSocket,
    me: String,
    others: Vec<String>,
    values: HashMap<String, String>,
    waiting: HashMap<u64, Waiting>,
    puts: u64,
    encoded: Vec<u8>,
}

/// Runs one replica of the star. The arguments are those of the course's replicas.
///
/// # Errors
/// If the arguments are bad, if the socket fails, or if nothing comes any more.
pub fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [port, me, others @ ..] = arguments.as_slice() else {
        return Err("PORT ID OTHERS...".into());
    };
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(("127.0.0.1", port.parse::<u16>()?))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut star = Star {
        socket,
        me: me.clone(),
        others: others.to_vec(),
        values: HashMap::new(),
        waiting: HashMap::new(),
        puts: 0,
        encoded: Vec::new(),
    };
    let hello = Datagram { leader: EVERYONE.into(), ..blank(me, EVERYONE, "hello") };
    send(&star.socket, &mut star.encoded, &hello)?;
    let mut received = vec![0; 1 << 16];
    loop {
        let length = star.socket.recv(&mut received)?;
        star.take_in(&serde_json::from_slice(&received[..length])?)?;
    }
}

impl Star {
    fn take_in(&mut self, datagram: &Datagram) -> Result<(), Box<dyn Error>> {
        match &*datagram.r#type {
            "copy" => self.keep(datagram),
            "copied" => self.count(datagram.number.ok_or("copied lacks number")?),
            "get" | "put" if self.me != LEADER => self.redirect(datagram),
            "get" => self.get(datagram),
            "put" => self.put(datagram),
            other => Err(format!("a datagram of type {other}").into()),
        }
    }

    fn redirect(&mut self, request: &Datagram) -> Result<(), Box<dyn Error>> {
        let redirect =
            Datagram { mid: request.mid.clone(), ..blank(&self.me, &request.src, "redirect") };
        send(&self.socket, &mut self.encoded, &redirect)
    }

    fn get(&mut self, request: &Datagram) -> Result<(), Box<dyn Error>> {
        let value = self.values.get(text(&request.key)?).map_or("", String::as_str);
        let mid = request.mid.clone();
        let ok = Datagram { mid, value: Some(value.into()), ..blank(&self.me, &request.src, "ok") };
        send(&self.socket, &mut self.encoded, &ok)
    }

    fn put(&mut self, request: &Datagram) -> Result<(), Box<dyn Error>> {
        self.puts += 1;
        let (count, quorum) = (self.others.len(), self.others.len() / 2);
        let first = self.puts as usize * quorum % count;
        for other in self.others.iter().cycle().skip(first).take(quorum) {
            let copy = Datagram {
                mid: request.mid.clone(),
                key: request.key.clone(),
                value: request.value.clone(),
                number: Some(self.puts),
                ..blank(&self.me, other, "copy")
            };
            send(&self.socket, &mut self.encoded, &copy)?;
        }
        let waiting = Waiting {
            client: request.src.to_string(),
            mid: text(&request.mid)?.to_owned(),
            key: text(&request.key)?.to_owned(),
            value: text(&request.value)?.to_owned(),
            missing: quorum,
        };
        self.waiting.insert(self.puts, waiting);
        Ok(())
    }

    /// Keeps a put of the leader and says so.
    fn keep(&mut self, copy: &Datagram) -> Result<(), Box<dyn Error>> {
        self.values.insert(text(&copy.key)?.to_owned(), text(&copy.value)?.to_owned());
        let copied = Datagram { number: copy.number, ..blank(&self.me, LEADER, "copied") };
        send(&self.socket, &mut self.encoded, &copied)
    }

    /// Answers the put of this `number` if all that were asked have it.
    fn count(&mut self, number: u64) -> Result<(), Box<dyn Error>> {
        let waiting = self.waiting.get_mut(&number).ok_or("no put waits for this")?;
        waiting.missing -= 1;
        if waiting.missing > 0 {
            return Ok(());
        }
        let Some(Waiting { client, mid, key, value, .. }) = self.waiting.remove(&number) else {
            return Ok(());
        };
        self.values.insert(key, value);
        let ok = Datagram { mid: Some(mid.into()), ..blank(&self.me, &client, "ok") };
        send(&self.socket, &mut self.encoded, &ok)
    }
}

/// A datagram with a header and nothing else.
fn blank<'a>(src: &'a str, dst: &'a str, kind: &'a str) -> Datagram<'a> {
    Datagram {
        src: src.into(),
        dst: dst.into(),
        leader: LEADER.into(),
        r#type: kind.into(),
        mid: None,
        key: None,
        value: None,
        number: None,
    }
}

fn text<'a>(key: &'a Option<Cow<'_, str>>) -> Result<&'a str, Box<dyn Error>> {
    key.as_deref().ok_or_else(|| "a key is missing".into())
}

fn send(
    socket: &UdpSocket,
    encoded: &mut Vec<u8>,
    datagram: &Datagram,
) -> Result<(), Box<dyn Error>> {
    encoded.clear();
    serde_json::to_writer(&mut *encoded, datagram)?;
    socket.send(encoded)?;
    Ok(())
}
