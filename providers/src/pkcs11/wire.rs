//! What broker and worker say to each other: frames over two pipes.
//!
//! A frame is its length (u32, big endian), the id of the call (u32), one byte that says what follows, and fields, each
//! with its length before it (u32). Frames carry secrets: they live in buffers that never grow and are wiped.

use super::failure::{CallFailed, Failure, Malformed};
use super::mechanism::Mechanism;
use super::self_test::{Report, Verdict};
use crate::Context;
use crate::payload::Payload;
use secret::Secret;
use std::io::{self, Read};
use zeroize::Zeroizing;

/// The longest frame that either side takes, in bytes after the length.
pub(super) const MAX_FRAME: usize = 64 * 1024;
/// The longest wrapped secret that is sent to a worker.
pub(super) const MAX_WRAPPED: usize = 16 * 1024;
/// The id and the byte that says what it is.
const HEAD: usize = 5;

/// What the broker asks of a worker.
#[derive(Debug)]
pub(super) enum Request {
    /// Loads the module if it is not loaded yet, finds the token, logs in and runs the self-test.
    Open(Open),
    /// Whether the key may be used, and how it would wrap.
    Inspect { key: String },
    /// Wraps the payload.
    Wrap { key: String, payload: Payload, context: Context },
    /// Unwraps what was wrapped by that mechanism.
    Unwrap { key: String, mechanism: Mechanism, wrapped: Vec<u8>, context: Context },
    /// Generates an AES-256 key that can only wrap and unwrap.
    CreateKey { label: String },
}

/// What a worker needs to serve a token.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) module: String,
    pub(super) library_parameters: String,
    pub(super) token: String,
    pub(super) sessions: u32,
    pub(super) pin: Secret,
}

/// What a worker answers.
#[derive(Debug)]
pub(super) enum Answer {
    Opened(Report),
    Usable { mechanism: Mechanism },
    Wrapped { mechanism: Mechanism, bytes: Vec<u8> },
    Unwrapped(Payload),
    Created,
    Failed(Failure),
}

/// The bytes of a frame, its length included; wiped on drop.
pub(super) type Frame = Zeroizing<Box<[u8]>>;

impl Request {
    #[expect(clippy::disallowed_methods, reason = "the PIN and the payload go to the worker, in a frame that is wiped")]
    pub(super) fn encode(&self, id: u32) -> Frame {
        match self {
            Self::Open(open) => {
                let (module, parameters) = (open.module.as_bytes(), open.library_parameters.as_bytes());
                let sessions = open.sessions.to_be_bytes();
                frame(id, 0, &[module, parameters, open.token.as_bytes(), &sessions, open.pin.expose()])
            }
            Self::Inspect { key } => frame(id, 1, &[key.as_bytes()]),
            Self::Wrap { key, payload, context } => {
                frame(id, 2, &[key.as_bytes(), payload.bytes().expose(), context.as_bytes()])
            }
            Self::Unwrap { key, mechanism, wrapped, context } => {
                frame(id, 3, &[key.as_bytes(), mechanism.name().as_bytes(), wrapped, context.as_bytes()])
            }
            Self::CreateKey { label } => frame(id, 4, &[label.as_bytes()]),
        }
    }

    /// The id and the request of a frame's body.
    pub(super) fn decode(body: &[u8]) -> Result<(u32, Self), Malformed> {
        let (id, kind, mut fields) = Fields::of(body)?;
        let request = match kind {
            0 => Self::Open(Open {
                module: fields.text()?,
                library_parameters: fields.text()?,
                token: fields.text()?,
                sessions: u32::from_be_bytes(fields.array()?),
                pin: Secret::copied_from(fields.bytes()?),
            }),
            1 => Self::Inspect { key: fields.text()? },
            2 => Self::Wrap { key: fields.text()?, payload: fields.payload()?, context: fields.context()? },
            3 => Self::Unwrap {
                key: fields.text()?,
                mechanism: fields.mechanism()?,
                wrapped: fields.bytes()?.to_vec(),
                context: fields.context()?,
            },
            4 => Self::CreateKey { label: fields.text()? },
            _ => return Err(Malformed),
        };
        fields.end().map(|()| (id, request))
    }
}

impl Answer {
    #[expect(clippy::disallowed_methods, reason = "the payload goes to the broker, in a frame that is wiped")]
    pub(super) fn encode(&self, id: u32) -> Frame {
        match self {
            Self::Opened(report) => {
                let verdicts: Vec<u8> = report.verdicts.iter().flat_map(|verdict| verdict.to_bytes()).collect();
                frame(id, 0, &[&[u8::from(report.hardware)], &[u8::from(report.exports)], &verdicts])
            }
            Self::Usable { mechanism } => frame(id, 1, &[mechanism.name().as_bytes()]),
            Self::Wrapped { mechanism, bytes } => frame(id, 2, &[mechanism.name().as_bytes(), bytes]),
            Self::Unwrapped(payload) => frame(id, 3, &[payload.bytes().expose()]),
            Self::Created => frame(id, 4, &[]),
            Self::Failed(failure) => {
                let (kind, call) = failure.to_parts();
                let (function, answer) = call.map_or(("", ""), |call| (&call.function, &call.answer));
                frame(id, 5, &[&[kind], function.as_bytes(), answer.as_bytes()])
            }
        }
    }

    /// The id and the answer of a frame's body.
    pub(super) fn decode(body: &[u8]) -> Result<(u32, Self), Malformed> {
        let (id, kind, mut fields) = Fields::of(body)?;
        let answer = match kind {
            0 => Self::Opened(fields.report()?),
            1 => Self::Usable { mechanism: fields.mechanism()? },
            2 => Self::Wrapped { mechanism: fields.mechanism()?, bytes: fields.bytes()?.to_vec() },
            3 => Self::Unwrapped(fields.payload()?),
            4 => Self::Created,
            5 => Self::Failed(fields.failure()?),
            _ => return Err(Malformed),
        };
        fields.end().map(|()| (id, answer))
    }
}

/// Reads the body of one frame; `None` at the end of the stream.
pub(super) fn read(stream: &mut impl Read) -> io::Result<Option<Frame>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut body = room_for(length)?;
    stream.read_exact(&mut body)?;
    Ok(Some(body))
}

/// An empty body of the length that a frame announces, if a frame may have it.
pub(super) fn room_for(length: [u8; 4]) -> io::Result<Frame> {
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if !(HEAD..=MAX_FRAME).contains(&length) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, Malformed));
    }
    Ok(Zeroizing::new(vec![0; length].into_boxed_slice()))
}

fn frame(id: u32, kind: u8, fields: &[&[u8]]) -> Frame {
    let length = HEAD + fields.iter().map(|field| 4 + field.len()).sum::<usize>();
    let mut frame = Zeroizing::new(vec![0; 4 + length].into_boxed_slice());
    let mut rest = &mut frame[..];
    for part in [&length_of(length)[..], &id.to_be_bytes(), &[kind]] {
        rest = put(rest, part);
    }
    for field in fields {
        rest = put(put(rest, &length_of(field.len())), field);
    }
    frame
}

fn put<'b>(buffer: &'b mut [u8], part: &[u8]) -> &'b mut [u8] {
    let (head, rest) = buffer.split_at_mut(part.len());
    head.copy_from_slice(part);
    rest
}

fn length_of(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("invariant: no field is longer than 4 GiB").to_be_bytes()
}

/// The fields of a frame that are still to be read.
struct Fields<'b>(&'b [u8]);

impl<'b> Fields<'b> {
    fn of(body: &'b [u8]) -> Result<(u32, u8, Self), Malformed> {
        let (id, rest) = body.split_first_chunk::<4>().ok_or(Malformed)?;
        let (kind, rest) = rest.split_first().ok_or(Malformed)?;
        Ok((u32::from_be_bytes(*id), *kind, Self(rest)))
    }

    fn bytes(&mut self) -> Result<&'b [u8], Malformed> {
        let (length, rest) = self.0.split_first_chunk::<4>().ok_or(Malformed)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Malformed)?;
        let (field, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(field)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.bytes()?.try_into().map_err(|_| Malformed)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn text(&mut self) -> Result<String, Malformed> {
        str::from_utf8(self.bytes()?).map(str::to_owned).map_err(|_| Malformed)
    }

    fn mechanism(&mut self) -> Result<Mechanism, Malformed> {
        str::from_utf8(self.bytes()?).ok().and_then(Mechanism::from_name).ok_or(Malformed)
    }

    fn payload(&mut self) -> Result<Payload, Malformed> {
        Ok(Payload::unwrapped(Secret::copied_from(self.bytes()?)))
    }

    fn context(&mut self) -> Result<Context, Malformed> {
        self.array().map(Context::new)
    }

    fn report(&mut self) -> Result<Report, Malformed> {
        let (hardware, exports) = (self.byte()? != 0, self.byte()? != 0);
        let (verdicts, rest) = self.bytes()?.as_chunks();
        let verdicts = verdicts.iter().map(|bytes| Verdict::from_bytes(*bytes)).collect::<Result<Vec<_>, _>>()?;
        if rest.is_empty() { Ok(Report { hardware, exports, verdicts }) } else { Err(Malformed) }
    }

    fn failure(&mut self) -> Result<Failure, Malformed> {
        let kind = self.byte()?;
        Failure::from_parts(kind, CallFailed { function: self.text()?, answer: self.text()? })
    }

    fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Failure, MAX_FRAME, Mechanism, Request, read, room_for};
    use crate::Context;
    use crate::pkcs11::failure::CallFailed;
    use crate::pkcs11::self_test::{Outcome, Report, Verdict};

    fn request() -> Request {
        let (key, context) = ("key".to_owned(), Context::new([7; 32]));
        Request::Unwrap { key, mechanism: Mechanism::AesGcm, wrapped: vec![1, 2, 3], context }
    }

    fn answers() -> Vec<Answer> {
        let verdict = Verdict { mechanism: Mechanism::AesKwp, outcome: Outcome::WrongWrap };
        let call = CallFailed { function: "WrapKey".into(), answer: "DeviceError".into() };
        vec![
            Answer::Opened(Report { hardware: true, exports: false, verdicts: vec![verdict; 3] }),
            Answer::Wrapped { mechanism: Mechanism::RsaOaepSha1, bytes: vec![9; 256] },
            Answer::Failed(Failure::Trouble(call)),
            Answer::Created,
        ]
    }

    #[test]
    fn frames_come_back() {
        let frame = request().encode(5);
        let (id, back) = Request::decode(&read(&mut &frame[..]).unwrap().unwrap()).unwrap();
        assert_eq!((id, format!("{back:?}")), (5, format!("{:?}", request())));
        for answer in answers() {
            let (id, back) = Answer::decode(&answer.encode(6)[4..]).unwrap();
            assert_eq!((id, format!("{back:?}")), (6, format!("{answer:?}")));
        }
    }

    #[test]
    fn what_is_cut_longer_or_altered_is_no_frame_and_no_panic() {
        let is_request = |body: &[u8]| Request::decode(body).is_ok();
        let is_answer = |body: &[u8]| Answer::decode(body).is_ok();
        check(&request().encode(1)[4..], is_request);
        answers().iter().for_each(|answer| check(&answer.encode(1)[4..], is_answer));
    }

    fn check(body: &[u8], is_frame: impl Fn(&[u8]) -> bool) {
        assert!(is_frame(body));
        assert!((0..body.len()).all(|cut| !is_frame(&body[..cut])), "cut");
        assert!(!is_frame(&[body, &[0]].concat()), "longer");
        for byte in 0..body.len() {
            let mut altered = body.to_vec();
            altered[byte] ^= 0xff;
            let _any = is_frame(&altered);
        }
    }

    #[test]
    fn no_frame_is_longer_than_allowed() {
        let length = |length: usize| u32::try_from(length).unwrap().to_be_bytes();
        assert!(room_for(length(MAX_FRAME)).is_ok());
        for wrong in [0, 4, MAX_FRAME + 1, u32::MAX as usize] {
            assert!(room_for(length(wrong)).is_err(), "{wrong}");
        }
    }
}
