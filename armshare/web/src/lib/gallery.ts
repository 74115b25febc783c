// Pictures of the simulated robots at their tasks: those of `docs/gallery` (`armshare sim gallery`), named TASK-ROBOT.

import type { Robot } from './account/api'

const files = import.meta.glob<string>('../../../../docs/gallery/*-*.jpg', { eager: true, query: '?url', import: 'default' })
const pictures = new Map(Object.entries(files).map(([path, url]) => [path.replace(/^.*\/|\.jpg$/g, ''), url]))

/** The picture of a robot at its first task that has one; null for a real robot, and for one that nobody drew. */
export function pictureOf(robot: Pick<Robot, 'model' | 'simulated' | 'tasks'>): string | null {
  if (!robot.simulated) return null
  const found = robot.tasks.map((task) => pictures.get(`${task.name}-${robot.model}`)).find((url) => url !== undefined)
  return found ?? null
}
