// Pictures of the simulated robots at their tasks: those of `docs/gallery` (`armshare sim gallery`), named TASK-ROBOT.

import type { Robot } from './account/api'

const files = import.meta.glob<string>('../../../../docs/gallery/*-*.jpg', { eager: true, query: '?url', import: 'default' })
const pictures = new Map(Object.entries(files).map(([path, url]) => [path.replace(/^.*\/|\.jpg$/g, ''), url]))

/** The picture of a robot at a task; null for a real robot, and for what nobody drew. */
export function pictureOf(robot: Pick<Robot, 'model' | 'simulated'>, task: string): string | null {
  return (robot.simulated && pictures.get(`${task}-${robot.model}`)) || null
}
