import { expect, test, vi } from 'vitest'
import { holdsLease, PERSON, Session, SessionError, type Phase, type View } from './session'

vi.spyOn(console, 'info').mockImplementation(() => undefined)

const DESCRIPTOR = { name: 'panda-1', control_hz: 20 }
const TASK = { name: 'lift', version: 1, instruction: 'Lift.', max_steps: 1200 }
const WELCOME = { type: 'welcome', protocol: 2, address: '0xA', nonce: '0x01' }
const QUEUED = { type: 'queued', robot: '0xR', position: 2, length: 2, wait_s: 90 }
const GRANTED = { type: 'granted', lease: 'l', epoch: 7, robot: DESCRIPTOR, task: TASK }
const RESUMED = { type: 'resumed', lease: 'l', epoch: 8, episode: 'e1', steps: 31, seq: 40, robot: DESCRIPTOR, task: TASK, driver: PERSON }
const READY = { type: 'ready', episode: 'e1', seed: 3, task: TASK }
const ENDED = { type: 'ended', episode: 'e1', steps: 40, success: true, valid: true, reason: 'finished' }
const LEFT = { type: 'left', reason: 'expired' }
const ERROR = { type: 'error', code: 'state', message: 'expected a robot that is not stopped' }
const GRANT = { operator: '0xA', sessionKey: '0xS', robot: '0xR', task: 'lift', nonce: '0x01', notAfterMs: 1 }

type Step = (session: Session) => void
const hears =
  (message: object): Step =>
  (session) =>
    session.received(JSON.stringify(message))

const open: Step = (session) => session.opened(2, 'token')
const join: Step = (session) => session.join(GRANT, '0xsig')
const watch: Step = (session) => session.watch('0xR')
const resume: Step = (session) => session.resume('l')
const begin: Step = (session) => session.begin()
const finish: Step = (session) => session.finish()

const TO: Record<Exclude<Phase, 'closed'>, Step[]> = {
  connecting: [],
  greeting: [open],
  welcomed: [open, hears(WELCOME)],
  watching: [open, hears(WELCOME), watch],
  joining: [open, hears(WELCOME), join],
  resuming: [open, hears(WELCOME), resume],
  queued: [open, hears(WELCOME), join, hears(QUEUED)],
  granted: [open, hears(WELCOME), join, hears(GRANTED)],
  resetting: [open, hears(WELCOME), join, hears(GRANTED), begin],
  live: [open, hears(WELCOME), join, hears(GRANTED), begin, hears(READY)],
  ending: [open, hears(WELCOME), join, hears(GRANTED), begin, hears(READY), finish],
  ended: [open, hears(WELCOME), join, hears(GRANTED), begin, hears(READY), finish, hears(ENDED)],
}

function at(phase: Exclude<Phase, 'closed'>) {
  const sent: { type: string }[] = []
  const seen: View[] = []
  const session = new Session(
    (message) => sent.push(message as { type: string }),
    (view) => seen.push(view),
  )
  for (const step of TO[phase]) step(session)
  expect(session.view.phase).toBe(phase)
  return { session, sent, seen }
}

const PHASES = Object.keys(TO) as (keyof typeof TO)[]

test('who comes back to a drive is live again in its episode, and finishes it', () => {
  const { session, sent } = at('resuming')
  expect(sent.at(-1)).toEqual({ type: 'resume', lease: 'l', driver: PERSON })
  hears(RESUMED)(session)
  expect(session.view).toMatchObject({ phase: 'live', episode: 'e1', resumed: { steps: 31, seq: 40 } })
  expect(session.view.lease).toEqual({ id: 'l', epoch: 8, robot: DESCRIPTOR, task: TASK })
  finish(session)
  hears(ENDED)(session)
  expect(session.view.phase).toBe('ended')
})

test('who comes back too late is told so, and can still join', () => {
  const { session } = at('resuming')
  hears({ ...ERROR, code: 'lease_over' })(session)
  expect(session.view.phase).toBe('welcomed')
  expect(session.view.fault?.code).toBe('lease_over')
  join(session)
  expect(session.view.phase).toBe('joining')
})

test('this page says that a person drives, in each episode', () => {
  const { session, sent } = at('ended')
  begin(session)
  const said = sent.filter(({ type }) => type === 'begin')
  expect(said).toEqual([
    { type: 'begin', driver: PERSON },
    { type: 'begin', driver: PERSON },
  ])
})

test('a note is on its way until the robot has kept it, and another one waits for that', () => {
  const { session, sent } = at('live')
  session.note('the cube slipped')
  session.note('twice')
  expect(sent.filter(({ type }) => type === 'note')).toEqual([{ type: 'note', text: 'the cube slipped' }])
  expect(session.view).toMatchObject({ noting: true, notes: 0 })
  hears({ type: 'noted', episode: 'another', notes: 9 })(session)
  expect(session.view).toMatchObject({ noting: true, notes: 0 })
  hears({ type: 'noted', episode: 'e1', notes: 1 })(session)
  expect(session.view).toMatchObject({ noting: false, notes: 1, unnoted: null })
})

test('a note that is not kept says why, and leaves the drive as it is', () => {
  const { session } = at('live')
  session.note('too early')
  hears({ ...ERROR, code: 'note' })(session)
  expect(session.view).toMatchObject({ phase: 'live', noting: false, fault: null })
  expect(session.view.unnoted?.code).toBe('note')
})

test('nothing is noted but while something is driven', () => {
  for (const phase of PHASES.filter((each) => each !== 'live')) {
    const { session, sent } = at(phase)
    session.note('x')
    expect(sent.filter(({ type }) => type === 'note')).toEqual([])
  }
})

test('who is queued knows the place, the length and the wait that the hub expects', () => {
  expect(at('queued').session.view.queue).toEqual({ position: 2, length: 2, waitS: 90 })
})

test('a whole visit says hello, join, begin, finish, begin again and leave, in this order', () => {
  const { session, sent } = at('ended')
  session.begin()
  hears(READY)(session)
  session.leave()
  expect(sent.map((message) => message.type)).toEqual(['hello', 'join', 'begin', 'finish', 'begin', 'leave'])
  expect(session.view).toMatchObject({ phase: 'closed', closed: 'left' })
})

const HEARD: [string, object, readonly Phase[]][] = [
  ['welcome', WELCOME, ['greeting']],
  ['queued', QUEUED, ['joining', 'queued']],
  ['granted', GRANTED, ['joining', 'queued']],
  ['resumed', RESUMED, ['resuming']],
  ['ready', READY, ['resetting']],
  ['ended', ENDED, ['resetting', 'live', 'ending']],
]

test.each(HEARD)('"%s" is heard only where it belongs', (_, message, allowed) => {
  for (const phase of PHASES) {
    const { session } = at(phase)
    if (allowed.includes(phase)) expect(() => hears(message)(session)).not.toThrow()
    else expect(() => hears(message)(session)).toThrow(SessionError)
  }
})

const SAID: [string, Step, readonly Phase[]][] = [
  ['open', open, ['connecting']],
  ['join', join, ['welcomed']],
  ['resume', resume, ['welcomed']],
  ['watch', watch, ['welcomed', 'queued']],
  ['begin', begin, ['granted', 'ended']],
  ['finish', finish, ['live']],
]

test.each(SAID)('%s is said only where it belongs', (_, step, allowed) => {
  for (const phase of PHASES) {
    const { session, sent } = at(phase)
    const before = sent.length
    if (allowed.includes(phase)) expect(() => step(session)).not.toThrow()
    else expect(() => step(session)).toThrow(SessionError)
    if (!allowed.includes(phase)) expect(sent.length).toBe(before)
  }
})

test.each(PHASES)('a lost lease ends a session that is %s, and nothing is heard after it', (phase) => {
  const { session } = at(phase)
  hears(LEFT)(session)
  expect(session.view).toMatchObject({ phase: 'closed', closed: 'expired' })
  hears(GRANTED)(session)
  expect(session.view.phase).toBe('closed')
})

test.each(PHASES.filter((phase) => phase !== 'connecting'))('the emergency stop goes out while %s', (phase) => {
  const { session, sent } = at(phase)
  session.estop('0xR')
  expect(sent.at(-1)).toEqual({ type: 'estop', robot: '0xR' })
})

test('who waits watches, and is told nothing new by it', () => {
  const { session, sent } = at('queued')
  session.watch('0xR')
  hears({ type: 'watching', robot: DESCRIPTOR })(session)
  expect(sent.at(-1)).toEqual({ type: 'watch', robot: '0xR' })
  expect(session.view.phase).toBe('queued')
})

test('a stop stays until it is cleared', () => {
  const { session } = at('live')
  hears({ type: 'estopped', robot: '0xR', by: '0xB', stop: '0x05' })(session)
  hears(ENDED)(session)
  expect(session.view).toMatchObject({ stoppedBy: '0xB', stop: '0x05' })
  hears({ type: 'cleared', robot: '0xR' })(session)
  expect(session.view).toMatchObject({ stoppedBy: null, stop: null })
})

test.each(['watching', 'resetting', 'ending'] as const)('a clear that releases nothing is told apart, and moves nothing: %s', (phase) => {
  const { session, sent } = at(phase)
  session.clear('0xR', '0x05', '0xsig')
  expect(sent.at(-1)).toEqual({ type: 'clear', robot: '0xR', stop: '0x05', signature: '0xsig' })
  hears({ type: 'error', code: 'clear', message: 'expected a clear of what is latched now' })(session)
  hears({ type: 'estopped', robot: '0xR', by: '0xB', stop: '0x06' })(session)
  expect(session.view).toMatchObject({ phase, fault: null, stop: '0x06', uncleared: { code: 'clear' } })
  session.clear('0xR', '0x06', '0xsig')
  expect(session.view.uncleared).toBeNull()
})

test('what broke a robot is said until it is cleared', () => {
  const { session } = at('live')
  expect(session.view.brokenBy).toBeUndefined()
  hears({ type: 'faulted', robot: '0xR', reason: 'servo 3 is hot' })(session)
  expect(session.view.brokenBy).toBe('servo 3 is hot')
  hears({ type: 'cleared', robot: '0xR' })(session)
  expect(session.view.brokenBy).toBeNull()
})

test('a refused begin is told, and can be tried again', () => {
  const { session } = at('resetting')
  hears(ERROR)(session)
  expect(session.view).toMatchObject({ phase: 'granted', fault: { code: 'state' } })
  session.begin()
  expect(session.view).toMatchObject({ phase: 'resetting', fault: null })
})

test('a refused finish leaves the episode open', () => {
  const { session } = at('ending')
  hears(ERROR)(session)
  expect(session.view.phase).toBe('live')
})

test('a new episode forgets the end of the last one', () => {
  const { session } = at('ended')
  session.begin()
  hears({ ...READY, episode: 'e2' })(session)
  expect(session.view).toMatchObject({ episode: 'e2', ended: null })
})

test.each(['live', 'ending'] as const)('the end of another episode than the one that is driven is an error while %s', (phase) => {
  expect(() => hears({ ...ENDED, episode: 'e2' })(at(phase).session)).toThrow(SessionError)
  const { session } = at(phase)
  hears({ ...ENDED, episode: null, steps: 0 })(session)
  expect(session.view.phase).toBe('ended')
})

test('a lease is held from the grant until the session is over', () => {
  const held = PHASES.filter((phase) => holdsLease(at(phase).session.view))
  expect(held).toEqual(['granted', 'resetting', 'live', 'ending', 'ended'])
})

test.each([
  ['as ours', { ...WELCOME, protocol: 1 }],
  ['of another shape', { type: 'greeted', protocol: 1 }],
])('a hub of another version is refused by name, and nothing is said to it: %s', (_, message) => {
  const { session, sent } = at('greeting')
  const said = 'expected protocol 2, got 1; reload the page, or update the hub'
  expect(() => hears(message)(session)).toThrow(new SessionError(said))
  expect(session.view).toMatchObject({ phase: 'greeting', fault: { code: 'protocol', todo: 'reload' } })
  expect(sent.map((each) => each.type)).toEqual(['hello'])
})

test.each(['', '[]', 'null', '{"type":7}'])('%j from the hub is an error', (text) => {
  expect(() => at('live').session.received(text)).toThrow(SessionError)
})

test.each(PHASES)('a message of an unknown type changes nothing while %s', (phase) => {
  const { session, sent } = at(phase)
  const [before, said] = [session.view, sent.length]
  hears({ type: 'surprise', length: 'odd' })(session)
  expect(session.view).toEqual(before)
  expect(sent.length).toBe(said)
})

test('who holds a robot is told how many wait, and how long it is theirs, until nobody waits', () => {
  const { session } = at('live')
  expect(session.view.waiting).toBeNull()
  hears({ type: 'waiting', length: 2, left_s: 840 })(session)
  expect(session.view).toMatchObject({ phase: 'live', waiting: { length: 2, leftS: 840 } })
  hears({ type: 'waiting', length: 1, left_s: 830 })(session)
  hears(ENDED)(session)
  expect(session.view).toMatchObject({ phase: 'ended', waiting: { length: 1, leftS: 830 } })
  hears({ type: 'waiting', length: 0, left_s: 800 })(session)
  expect(session.view.waiting).toBeNull()
})

test('who has lost the robot is not told of those who wait for it any more', () => {
  const { session } = at('live')
  hears({ type: 'waiting', length: 2, left_s: 0 })(session)
  hears(LEFT)(session)
  expect(session.view.waiting).toBeNull()
})

test('who joins a robot whose drives cannot be checked knows why from then on', () => {
  const { session } = at('joining')
  session.received(JSON.stringify({ type: 'cannot_check', robot: '0xR', task: 'lift', reason: 'UnknownRobot: ...' }))
  expect(session.view).toMatchObject({ phase: 'joining', unchecked: 'UnknownRobot: ...' })
  session.received(JSON.stringify(GRANTED))
  expect(session.view.unchecked).toBe('UnknownRobot: ...')
})
