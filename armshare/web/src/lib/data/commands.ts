// What a researcher types to get this hub's episodes, and to order them from a camera. Pure.

/** Downloads a task's verified episodes from the hub at `hub`. */
export const fetching = (hub: string, task: string): string => `armshare fetch episodes --task ${task} --hub ${bare(hub)}`

/** Writes them as a data set with pictures; every scene has a camera `side`, and another name gives another view. */
export const ordering = (hub: string, task: string): string =>
  `armshare export episodes/* --to ${task} --format lerobot --camera side --size 320x240 --hub ${bare(hub)}`

const bare = (hub: string): string => hub.replace(/\/+$/, '')
