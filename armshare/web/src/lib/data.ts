// What a researcher types to get this hub's episodes, and to order them from a camera. Pure.

/** Downloads a task's verified episodes from the hub at `hub`. */
export const fetching = (hub: string, task: string): string => `armshare fetch episodes --task ${task} --hub ${bare(hub)}`

/** Writes them as a data set with pictures; another name for the camera gives the same episodes from another side. */
export const ordering = (hub: string, task: string): string =>
  `armshare export episodes/* --to ${task} --format lerobot --camera wrist --size 320x240 --hub ${bare(hub)}`

const bare = (hub: string): string => hub.replace(/\/+$/, '')
