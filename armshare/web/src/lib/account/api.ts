// The hub's HTTP API (`docs/http.md`), typed. A refusal is an ApiError that carries the hub's own code, or the gate that
// refused an episode, and its words.

import { hubUrl } from '../hub'
import type { Descriptor } from '../link/descriptor'
import type { Driver } from '../link/signalling'
import { readBest, readReplay, readScore } from './score'
import type { DomainOf } from './typed'

export interface Config extends DomainOf {
  protocol: number
  token: string
  token_symbol: string
  token_decimals: number
  hub: string
  log_origin: string
  log_public_key: string
  terms_sha256: string
  score_version: string | number
  /** What is paid beside an operator, as shares of their pay and of the price. An older hub pays nobody else. */
  owner_share?: number
  reviewer_share?: number
}

export interface RobotTask {
  name: string
  instruction: string
  max_steps: number
  price: string
  /** Why the hub cannot check what is driven now: it is held, and not paid, until it can. An older hub does not tell. */
  unchecked?: string | null
}

export interface Robot {
  robot: string
  name: string
  model: string
  owner: string
  simulated: boolean
  /** What is driven with it is private. An older hub does not tell. */
  private?: boolean
  online: boolean
  estopped: boolean
  /** What broke it, in its host's words, until its owner clears that. */
  fault: string | null
  /** What its owner's clear must name; null if it is neither stopped nor broken. */
  stop: string | null
  /** What keeps its host from recording, in its host's words. */
  unrecordable: string | null
  state: 'offline' | 'free' | 'driven' | 'stopped' | 'faulted' | 'full'
  /** Why this hub does not know what it does, in a sentence: it was at another hub, which is silent. */
  unknown?: string | null
  queue_length: number
  /** How long somebody who queues now will probably wait; null if it is offline. */
  wait_s: number | null
  /** Who drives, if the hub tells, */
  driver?: string | null
  /** For how long, s, the drive is still kept for its driver, who is away; null or absent if they are not. */
  kept_s?: number | null
  /** and at which task. */
  task?: string | null
  tasks: RobotTask[]
}

export interface RobotDetail extends Robot {
  descriptor: Descriptor
}

export interface Entry {
  time_ms: number
  episode: string | null
  kind: string
  amount: string
}

export interface Balance {
  address: string
  earned: string
  settled: string
  claimed: string
  wallet: string
  entries: Entry[]
}

export interface Episode {
  episode: string
  state: string
  robot: string
  operator: string
  task: string
  /** Who or what drove; null if an earlier release began it, and an older hub does not tell. */
  driver?: Driver | null
  steps: number
  success: boolean | null
  valid: boolean
  reason: string
  digest: string | null
  receipt: unknown
  created_ms: number
  /** What it rests on, once verified: `replayed` or `witnessed`. An older hub does not tell. */
  trust?: string | null
  /** Of its file, bytes; null if the hub has none. */
  size?: number | null
  /** When it is checked again, if it is held. */
  next_try_ms?: number | null
  /** When its operator withdrew it; absent if nobody did, or of an older hub. */
  withdrawn_ms?: number | null
  /** It is rejected, and may be looked at once more. An older hub does not tell. */
  another_look?: boolean
  /** The episode that it repeats, if it is rejected for that. An older hub does not tell. */
  twin?: string | null
  /** What was seen and done is for those who may read it. An older hub does not tell. */
  private?: boolean
}

/** How much of an episode's file the hub has, bytes; `length` is null until its host has begun to send it. */
export interface Arrival {
  episode: string
  state: string
  received: number
  length: number | null
  /** The gate that refused it as it came, and why, if it is `rejected`: nothing more comes. */
  reason?: string | null
}

/** An episode that this wallet drove, and has neither signed nor discarded; it can be signed once it is `uploaded`. */
export interface Unsigned extends Arrival {
  robot: string
  task: string
  steps: number | null
  success: boolean | null
  created_ms: number
}

/** One thing that the first drive must show, as the hub measured it. */
export interface Check {
  name: string
  passed: boolean
  measured: number
  sentence: string
}

/** An episode of a wallet that was not qualified: checked, and not paid. */
export interface Practice {
  reason: 'not_qualified'
  sentence: string
  passed: boolean
  checks: Check[]
}

/** What the first drive must show. */
export interface Needs {
  moved_m: number
  rest_s: number
  duration_s: number
  limited: number
}

export interface Operator {
  address: string
  /** Accepted episodes are paid. */
  qualified: boolean
  since_ms: number | null
  /** The last practice drive, and its checks. */
  episode: string | null
  checks: Check[]
  needs: Needs
  /** What its practice drives have shown so far, by the names of the guide's steps; an older hub does not tell. */
  shown?: string[]
}

export interface Score {
  episode: string
  version: string | number
  score: number
  accepted: boolean
  vector: Record<string, number | null>
  reasons: string[]
  pay: string
  practice: Practice | null
  /** A real robot's: it is not paid before people have reviewed it. An older hub does not tell. */
  awaiting_review?: boolean
  /** What people make of a real robot's; null or absent for any other. */
  review?: { state: 'open' | 'passed' | 'failed' | 'tied' | 'refused'; score: number; reasons: string[] } | null
  /** What was not paid and why, the largest first. Empty by the first two versions of the rules, and of an older hub. */
  costs: Cost[]
  /** What helps an operator and is not paid by, in its own units. */
  shown: Record<string, number>
  /** What stretches of the drive were, in order of time. */
  segments: Segment[]
  /** By each version of the rules that it was scored by. */
  versions: Scoring[]
}

/** What one part of the score cost. */
export interface Cost {
  part: string
  /** Of 1, a perfect drive. */
  points: number
  sentence: string
  /** When, s from the first observation; null if it was the whole drive. */
  from_s: number | null
  until_s: number | null
}

export interface Segment {
  /** One of `KINDS` in `drive/timeline.ts`, or what a newer hub calls it. */
  kind: string
  from_s: number
  until_s: number
}

export interface Scoring {
  version: string
  score: number
  pay: string
}

/** The best accepted drive from a start like another's. */
export interface Best {
  episode: string
  score: number
  duration_s: number
  /** How far apart the starts are; null if the hub does not tell. */
  apart_m: number | null
  driver: { kind: Driver['kind']; name: string } | null
}

/** What is drawn of an episode: at each moment (s), a row of the arrays' values. */
export interface ReplayAnswer {
  arrays: { name: string; size: number }[]
  /** How many values a row has. */
  width: number
  t_s: number[]
  progress: (number | null)[]
  stages: string[]
  rows: Float32Array
}

export interface SignedIn {
  token: string
  address: string
  expires_ms: number
}

export interface Claimed {
  transaction: string
  amount: string
  claimed: string
  wallet: string
}

/** The hub refused, or could not be reached (`code` is then "unreachable"). */
export class ApiError extends Error {
  override name = 'ApiError'
  constructor(
    readonly code: string,
    message: string,
    readonly status: number,
  ) {
    super(message)
  }
}

export class Api {
  token: string | null = null

  config = () => this.#json<Config>('GET', '/api/config')
  challenge = (address: string) =>
    this.#json<{ nonce: string; message: string }>('POST', '/api/auth/challenge', { address })
  verify = (nonce: string, signature: string) =>
    this.#json<SignedIn>('POST', '/api/auth/verify', { nonce, signature })
  signOut = () => this.#call('POST', '/api/auth/sign-out')
  robots = () => this.#json<Robot[]>('GET', '/api/robots')
  robot = (robot: string) => this.#json<RobotDetail>('GET', `/api/robots/${robot}`)
  balance = (address: string) => this.#json<Balance>('GET', `/api/balances/${address}`)
  operator = (address: string) => this.#json<Operator>('GET', `/api/operators/${address}`)
  claim = () => this.#json<Claimed>('POST', '/api/claim')
  /** At once if all of it has arrived, else after the wait. */
  arrival = (episode: string, waitS: number) => this.#json<Arrival>('GET', `/api/episodes/${episode}/arrival?wait_s=${waitS}`)
  unsigned = (operator: string) => this.#json<Unsigned[]>('GET', `/api/operators/${operator}/unsigned`)
  discard = (episode: string) => this.#call('POST', `/api/episodes/${episode}/discard`)
  anotherLook = (episode: string) => this.#json<Episode>('POST', `/api/episodes/${episode}/another-look`, {})
  score = async (episode: string): Promise<Score> => readScore(await this.#json<unknown>('GET', `/api/episodes/${episode}/score?wait_s=5`))
  /** The best accepted drive from a start like that episode's; null if there is none. An older hub refuses. */
  best = async (episode: string): Promise<Best | null> =>
    readBest(await this.#json<unknown>('GET', `/api/episodes/${encodeURIComponent(episode)}/best`).catch(unlessNone))
  /** What shows a verified episode once more; null if it cannot be read. */
  replay = async (episode: string): Promise<ReplayAnswer | null> =>
    readReplay(await this.#json<unknown>('GET', `/api/episodes/${encodeURIComponent(episode)}/replay`))
  episode = (episode: string) => this.#json<Episode>('GET', `/api/episodes/${encodeURIComponent(episode)}`)
  sign = (episode: string, signature: string) =>
    this.#json<Episode>('POST', `/api/episodes/${episode}/signature`, { signature })

  /** The newest episodes, of one operator or of all. */
  async episodes(operator: string | null, limit: number): Promise<Episode[]> {
    const query = new URLSearchParams({ ...(operator ? { operator } : {}), limit: String(limit) })
    return (await this.#json<{ episodes: Episode[] }>('GET', `/api/episodes?${query}`)).episodes
  }

  /** What an operator has withdrawn, the last one first: to that operator, signed in. */
  async withdrawn(operator: string, limit: number): Promise<Episode[]> {
    return (await this.#json<{ episodes: Episode[] }>('GET', `/api/operators/${encodeURIComponent(operator)}/withdrawn?limit=${limit}`)).episodes
  }

  /** Any other of the hub's calls. */
  ask = <T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<T> => this.#json<T>(method, path, body)

  /** The manifest's exact bytes: what is hashed and signed. */
  async manifest(episode: string): Promise<Uint8Array<ArrayBuffer>> {
    const response = await this.#call('GET', `/api/episodes/${episode}/manifest`)
    return new Uint8Array(await response.arrayBuffer())
  }

  /** What the hub tells of something, unread. */
  told = (path: string) => this.#json<unknown>('GET', path)

  /** One of an episode's files, whole. */
  async file(episode: string, file: string): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(await (await this.#call('GET', `/api/episodes/${encodeURIComponent(episode)}/files/${file}`)).arrayBuffer())
  }

  /** A part of a file of an episode, from its byte `from` up to `until`. */
  async part(episode: string, file: string, from: number, until: number, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const response = await this.#call('GET', `/api/episodes/${encodeURIComponent(episode)}/files/${file}`, undefined, { headers: { Range: `bytes=${from}-${until - 1}` }, signal })
    const bytes = new Uint8Array(await response.arrayBuffer())
    if (response.status !== 206 || bytes.length !== until - from) throw new ApiError('range', `expected bytes ${from} to ${until}, got ${bytes.length} with status ${response.status}`, response.status)
    return bytes
  }

  async #json<T>(method: string, path: string, body?: unknown): Promise<T> {
    return (await this.#call(method, path, body)).json() as Promise<T>
  }

  async #call(method: string, path: string, body?: unknown, more: { headers?: Record<string, string>; signal?: AbortSignal } = {}): Promise<Response> {
    const headers: Record<string, string> = { ...more.headers }
    if (this.token) headers['Authorization'] = `Bearer ${this.token}`
    if (body !== undefined) headers['Content-Type'] = 'application/json'
    const init: RequestInit = { method, headers, ...(more.signal ? { signal: more.signal } : {}), ...(body === undefined ? {} : { body: JSON.stringify(body) }) }
    const response = await fetch(hubUrl(path), init).catch(() => {
      throw new ApiError('unreachable', 'The hub cannot be reached. Check the connection.', 0)
    })
    if (!response.ok) throw await refusal(response)
    return response
  }
}

/** Null if nobody has one yet. */
function unlessNone(error: unknown): null {
  if (error instanceof ApiError && error.code === 'no_best') return null
  throw error
}

async function refusal(response: Response): Promise<ApiError> {
  const body: unknown = await response.json().catch(() => null)
  const error = (body as { error?: { code?: unknown; gate?: unknown; message?: unknown } } | null)?.error
  if (typeof error?.code === 'string' && typeof error.message === 'string')
    return new ApiError(typeof error.gate === 'string' ? error.gate : error.code, error.message, response.status)
  return new ApiError(`http_${response.status}`, `The hub answered ${response.status} without a reason.`, response.status)
}

export const fileUrl = (episode: string, file: string): string => hubUrl(`/api/episodes/${episode}/files/${file}`)
export const EPISODE_FILES = ['episode.h5', 'manifest.json', 'signatures.json', 'receipt.json'] as const
/** The same with what is made of them. */
export const BUNDLE_FILES = [...EPISODE_FILES, 'score.json'] as const
