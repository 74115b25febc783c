// Films of the simulated robots at their tasks: three seconds of a good drive (`armshare sim films`), named TASK-ROBOT.

const files = import.meta.glob<string>('../../films/*-*.mp4', { eager: true, query: '?url', import: 'default' })
const films = new Map(Object.entries(files).map(([path, url]) => [path.replace(/^.*\/|\.mp4$/g, ''), url]))

/** The film of a model at a task; null if there is none, as for a real robot. */
export const filmOf = (robot: { model: string; simulated: boolean }, task: string): string | null =>
  (robot.simulated && films.get(`${task}-${robot.model}`)) || null
