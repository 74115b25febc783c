// What the hub tells about episodes and data sets, for those who look for data (`docs/http.md`), typed.

import type { Api, Episode } from '../account/api'
import { hubUrl } from '../hub'
import { searched, type Words } from './words'

export interface Found extends Episode {
  score: number | null
  rules: string | null
  accepted: boolean | null
  practice: boolean
  model: string | null
  duration_s: number | null
  trust?: 'replayed' | 'witnessed' | null
}

export interface Total {
  total: number
  /** There are more, which are not counted. */
  more: boolean
}

export interface FoundPage extends Total {
  episodes: Found[]
  next: string | null
}

export interface Value {
  value: string
  episodes: number
}

export type Values = Record<'task' | 'model' | 'robot' | 'operator' | 'driver' | 'trust', Value[]>

export const PAGE = 48

const query = (said: Words): string => new URLSearchParams(said).toString()

export const search = (api: Api, words: Words, after: string | null = null): Promise<FoundPage> =>
  api.ask('GET', `/api/episodes?${query({ ...searched(words), limit: String(PAGE), ...(after === null ? {} : { after }) })}`)

export const values = (api: Api, words: Words): Promise<Values> => api.ask('GET', `/api/episodes/words?${query(withoutOrder(searched(words)))}`)

function withoutOrder({ order: _, ...words }: Words): Words {
  return words
}

/** The address of a preview; without a camera, from the one that the hub thinks shows most. */
export function previewUrl(episode: string, camera: string | null, how: 'short' | 'still' | 'full' = 'short'): string {
  const said = { ...(camera === null ? {} : { camera }), ...(how === 'short' ? {} : { [how]: 'true' }) }
  return hubUrl(`/api/episodes/${encodeURIComponent(episode)}/preview${query(said) && '?'}${query(said)}`)
}

export type Change = 'created' | 'appended' | 'withdrawn' | 'merged' | 'described'

export interface Counted {
  name: string
  episodes: number
}

/** One version of a data set. */
export interface SetAnswer {
  name: string
  version: number
  digest: string
  previous: string
  title: string
  description: string
  licence: string
  owner: string
  made_ms: number
  change: { kind: Change; reason: string; merged: string[] }
  splits: Shares
  episodes: number
  bytes: number
  duration_s: number
  tasks: Counted[]
  models: Counted[]
  /** How many there are. */
  versions: number
  released_ms: number | null
  /** Null until the hub has made it, and in lists. */
  card: unknown
}

export interface Shares {
  train: number
  validation: number
  test: number
}

export interface Shelf {
  sets: SetAnswer[]
  next: string | null
}

export interface Job {
  id: string
  kind: string
  state: 'queued' | 'running' | 'done' | 'failed'
  done: number
  total: number
  what: string
  error: string | null
}

/** Which episodes: these, or all that a search finds. */
export type Wanted = { episodes: string[] } | { search: Words }

export interface NewSet {
  name: string
  title: string
  description: string
  licence: string
  splits: Shares
}

const path = (name: string): string => `/api/sets/${name.split('/').map(encodeURIComponent).join('/')}`

export const sets = (api: Api, said: Words): Promise<Shelf> => api.ask('GET', `/api/sets?${query(said)}`)
export const set = (api: Api, name: string, version: number | null): Promise<SetAnswer> =>
  api.ask('GET', version === null ? path(name) : `${path(name)}/versions/${version}`)
export const versions = (api: Api, name: string): Promise<Shelf> => api.ask('GET', `${path(name)}/versions?limit=200`)
export const makeSet = (api: Api, made: NewSet, wanted: Wanted, practice: boolean): Promise<SetAnswer> => api.ask('POST', '/api/sets', { ...made, ...wanted, practice })
export const append = (api: Api, name: string, wanted: Wanted, practice: boolean, reason: string): Promise<SetAnswer> =>
  api.ask('POST', `${path(name)}/append`, { ...wanted, practice, reason })
export const release = (api: Api, name: string, version: number): Promise<Job> => api.ask('POST', `${path(name)}/versions/${version}/release`)
export const job = (api: Api, id: string): Promise<Job> => api.ask('GET', `/api/jobs/${encodeURIComponent(id)}`)
export const documentUrl = (name: string, version: number): string => hubUrl(`${path(name)}/versions/${version}/document`)

/** An episode of a version, and what it is for. */
export interface InSet extends Found {
  split: keyof Shares
  /** Its operator took it back since: the newest version does not have it. */
  withdrawn: boolean
}

const FIRST = 12

/** The first episodes of a version. */
export const inSet = (api: Api, name: string, version: number, limit = FIRST): Promise<{ episodes: InSet[] }> => api.ask('GET', `${path(name)}/versions/${version}/episodes?limit=${limit}`)
