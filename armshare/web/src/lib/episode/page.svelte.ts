// Everything that the page of one episode knows: asked for in the order in which it is looked at, each part by itself, so
// that nothing waits for what comes later.

import { account } from '../account/account.svelte'
import type { Episode, RobotDetail, Score } from '../account/api'
import { type SetAnswer, sets } from '../data/api'
import { Beside, replayOf } from '../drive/beside.svelte'
import { type Stage, stagesOf } from '../drive/timeline'
import { atTask, Layout } from '../link/descriptor'
import { type Trouble, troubleOf } from '../trouble'
import { Replay } from '../view/replay.svelte'
import { framesOf } from '../view/rows'
import { type Channel, type Neighbours, readChannels, readNeighbours, readTimeline, type Timeline } from './answers'
import { type Check, checkAll } from './checks'
import type { Inclusion } from './proof'
import { missing, type Standing, standingOf } from './standing'
import { readUses, type Uses } from './uses'

/** Whether the robot can be drawn: `gone` if it is not registered here any more, or was changed since. */
export type Drawing = 'coming' | 'drawn' | 'gone'

const OTHERS = 6
const SETS = 50
const AGAIN_MS = 4000

export class EpisodePage {
  episode = $state.raw<Episode | null>(null)
  score = $state.raw<Score | null>(null)
  /** Why there is no score; null while it is asked for. */
  unscored = $state.raw<Trouble | null>(null)
  timeline = $state.raw<Timeline | null>(null)
  channels = $state.raw<Channel[] | null>(null)
  /** At the episode's task. */
  robot = $state.raw<RobotDetail | null>(null)
  drawing = $state<Drawing>('coming')
  replay = $state.raw(new Replay())
  stages = $state.raw<Stage[]>([])
  neighbours = $state.raw<Neighbours | null>(null)
  others = $state.raw<Episode[]>([])
  /** The data sets whose newest version has it. */
  sets = $state.raw<SetAnswer[]>([])
  checks = $state.raw<Check[] | null>(null)
  sizes = $state.raw<Record<string, number>>({})
  /** Of a private one, if whoever looks drove it or owns its robot. */
  uses = $state.raw<Uses | null>(null)
  trouble = $state.raw<Trouble | null>(null)
  /** It is not shown, and this is why. */
  standing = $state.raw<Standing | null>(null)
  readonly beside = new Beside()
  readonly #id: string
  readonly #at: string
  #closed = false
  #again: ReturnType<typeof setTimeout> | undefined

  constructor(id: string) {
    this.#id = id
    this.#at = `/api/episodes/${encodeURIComponent(id)}`
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#again)
    this.beside.clear()
  }

  get own(): boolean {
    return this.episode !== null && this.episode.operator === account.wallet?.address
  }

  async load(): Promise<void> {
    this.trouble = this.standing = null
    try {
      this.episode = await account.api.episode(this.#id)
    } catch (error) {
      const trouble = troubleOf(error)
      this.standing = missing(trouble)
      this.trouble = this.standing ? null : trouble
      return
    }
    this.standing = standingOf(this.episode, this.own)
    if (this.standing?.coming && !this.#closed) this.#again = setTimeout(() => void this.load(), AGAIN_MS)
    if (this.standing || !(await this.#mayRead(this.episode))) return
    await Promise.all([this.#line(this.episode), this.#picture(this.episode), this.#verdict()])
    if (this.#closed) return
    await this.#rest(this.episode)
  }

  /** Whether this page may show a private episode; if not, it says why. */
  async #mayRead(episode: Episode): Promise<boolean> {
    if (!episode.private) return true
    try {
      await account.api.told(`${this.#at}/channels`)
    } catch (error) {
      this.standing = missing(troubleOf(error))
    }
    if (!this.standing && account.wallet) this.uses = readUses(await account.api.told(`${this.#at}/uses`).catch(() => null))
    return this.standing === null
  }

  async #line(episode: Episode): Promise<void> {
    this.timeline = readTimeline(await account.api.told(`${this.#at}/timeline`).catch(() => null))
    if (!this.timeline) return
    if (this.replay.lengthS === 0) this.replay.lengthS = this.timeline.length_s
    if (episode.state === 'verified') this.channels = readChannels(await account.api.told(`${this.#at}/channels`).catch(() => null))
  }

  /** See it again, if its robot is still known here. */
  async #picture(episode: Episode): Promise<void> {
    const [found, answer] = await Promise.all([account.api.robot(episode.robot).catch(() => null), account.api.replay(this.#id).catch(() => null)])
    const descriptor = found && atTask(found.descriptor, episode.task)
    const layout = descriptor && new Layout(descriptor.observation)
    const frames = layout && answer && framesOf(answer, layout)
    if (answer) this.stages = stagesOf(answer.t_s.map((t, i) => ({ atMs: 1000 * t, progress: answer.progress[i] ?? null })), answer.stages)
    const made = layout && frames ? replayOf(frames, layout) : null
    this.drawing = made ? 'drawn' : 'gone'
    if (!made || !found || !descriptor) return
    made.speed = this.replay.speed
    this.replay = made
    this.robot = { ...found, descriptor }
    if (!this.#closed) void this.beside.ask(account.api, this.#id, layout)
  }

  async #verdict(): Promise<void> {
    this.unscored = null
    try {
      this.score = await account.api.score(this.#id)
    } catch (error) {
      this.unscored = troubleOf(error)
      if (this.unscored.code === 'not_scored' && !this.#closed) this.#again = setTimeout(() => void this.#verdict(), AGAIN_MS)
    }
  }

  /** What lies further down the page. */
  async #rest(episode: Episode): Promise<void> {
    const { api, config } = account
    const bytes = new Map<string, Promise<Uint8Array<ArrayBuffer>>>()
    const fileOf = (name: string) => {
      const coming = bytes.get(name) ?? api.file(this.#id, name)
      bytes.set(name, coming)
      coming.then(({ length }) => (this.sizes = { ...this.sizes, [name]: length }), () => null)
      return coming
    }
    const sources = {
      manifest: () => fileOf('manifest.json'),
      signatures: async () => JSON.parse(new TextDecoder().decode(await fileOf('signatures.json'))) as unknown,
      proof: async (index: number) => (await api.told(`/api/log/proof/${index}`)) as Inclusion,
    }
    await Promise.all([
      api.told(`${this.#at}/neighbours`).then((answer) => (this.neighbours = readNeighbours(answer)), () => null),
      sets(api, { episode: this.#id, limit: String(SETS) }).then((found) => (this.sets = found.sets), () => null),
      api.episodes(episode.operator, OTHERS + 1).then((found) => (this.others = found.filter((one) => one.episode !== this.#id && one.state === 'verified').slice(0, OTHERS)), () => null),
      config ? checkAll(episode, config, sources).then((checks) => (this.checks = checks), () => null) : null,
      ...['receipt.json', 'score.json'].map((name) => fileOf(name).catch(() => null)),
    ])
  }
}
