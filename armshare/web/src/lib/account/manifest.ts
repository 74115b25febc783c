// The manifest of an episode (`recorder/FORMAT.md`, section 3), as the operator's page reads it before it signs.

import { sha256, type Hex } from 'viem'
import type { Said } from '../commands/check'
import { drivenBy } from '../format'
import type { Driver, Grant } from '../link/signalling'
import type { Values } from './typed'

export interface Manifest {
  version: number
  episode: string
  robot: { address: string }
  operator: { address: string; session_key: string }
  grant: { values: GrantSaid; signature: string }
  task: { name: string }
  /** Who or what drove; version 1 does not say. */
  driver?: Driver
  steps: number
  success: boolean | null
  valid: boolean
  content_root: string
  started_ms: string
  ended_ms: string
  previous: string
  /** The last command that counted in each epoch, or before each gap; version 1 does not say. */
  commands?: Said[]
}

/** The `SessionGrant` under which it was driven, as the manifest holds it. */
export type GrantSaid = Omit<Grant, 'notAfterMs'> & { notAfterMs: string }

/** Whose episode it must be. */
export interface Ours {
  episode: string
  operator: string
  sessionKey: string
  robot: string
  task: string
  /** Who or what began it, if this page knows. */
  driver?: Driver
}

/** The manifest is not of the episode that was just driven here: it is not signed. */
export class ManifestError extends Error {
  override name = 'ManifestError'
}

export function readManifest(bytes: Uint8Array, ours: Ours): Manifest {
  const manifest = parse(bytes)
  const said: Record<Exclude<keyof Ours, 'driver'>, unknown> = {
    episode: manifest.episode,
    operator: manifest.operator?.address,
    sessionKey: manifest.operator?.session_key,
    robot: manifest.robot?.address,
    task: manifest.task?.name,
  }
  for (const name of Object.keys(said) as (keyof typeof said)[])
    if (said[name] !== ours[name])
      throw new ManifestError(`The manifest is not signed: expected ${name} ${ours[name]}, it says ${said[name]}.`)
  for (const name of ['content_root', 'previous'] as const)
    if (!matches(/^0x[0-9a-f]{64}$/, manifest[name]))
      throw new ManifestError(`The manifest is not signed: ${name} is not 32 bytes in hex: ${manifest[name]}.`)
  for (const name of ['started_ms', 'ended_ms'] as const)
    if (!matches(/^\d{1,19}$/, manifest[name]))
      throw new ManifestError(`The manifest is not signed: ${name} is not a decimal string: ${manifest[name]}.`)
  requireCommands(manifest)
  requireDriver(manifest, ours.driver)
  return manifest
}

/** Neither the robot's computer nor the hub makes a person of a program, or the other way round. */
function requireDriver({ version, driver }: Manifest, ours?: Driver): void {
  const said = (one?: Driver) => JSON.stringify([one?.kind, one?.name, one?.sha256])
  if (ours && version !== 1 && said(driver) !== said(ours))
    throw new ManifestError(`The manifest is not signed: it was driven ${drivenBy(ours)}, and it says ${drivenBy(driver) || 'nobody'}.`)
}

/** They belong to version 2, and a manifest of it without any says that nothing moved the robot. */
function requireCommands({ version, commands }: Manifest): void {
  if (version === 1 && commands === undefined) return
  if (version !== 2)
    throw new ManifestError(`The manifest is not signed: its version is ${version}, which this page does not know.`)
  const list: unknown[] = Array.isArray(commands) ? commands : []
  if (list.length === 0 || !list.every((each, i) => isSaid(each, list[i - 1])))
    throw new ManifestError(`The manifest is not signed: its commands are ${JSON.stringify(commands)}.`)
}

function isSaid(value: unknown, before: unknown): boolean {
  const said = value as Partial<Said> | null
  const last = before as Said | undefined
  const after = said?.epoch === last?.epoch ? isAbove(said?.seq, last?.seq ?? 0) : isAbove(said?.epoch, last?.epoch ?? 0)
  return after && isAbove(said?.epoch, 0) && isAbove(said?.seq, 0) && matches(/^[0-9a-f]{64}$/, said?.sha256)
}

const isAbove = (value: unknown, least: number): boolean => Number.isSafeInteger(value) && (value as number) > least

/** The values of the `Episode` statement: the hash of the exact bytes, the rest from what they say. */
export const statement = (bytes: Uint8Array, manifest: Manifest): Values & { manifestSha256: Hex } => ({
  episodeId: manifest.episode,
  manifestSha256: sha256(bytes),
  contentRoot: manifest.content_root,
  operator: manifest.operator.address,
  robot: manifest.robot.address,
  task: manifest.task.name,
  startedMs: BigInt(manifest.started_ms),
  endedMs: BigInt(manifest.ended_ms),
  previous: manifest.previous,
})

const matches = (pattern: RegExp, value: unknown): boolean => typeof value === 'string' && pattern.test(value)

export function parse(bytes: Uint8Array): Manifest {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Manifest
  } catch (error) {
    throw new ManifestError(`The manifest is not signed: it is not JSON: ${String(error)}.`)
  }
}
