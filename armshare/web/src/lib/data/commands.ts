// What a researcher types to get this hub's episodes, and to order them from a camera. Pure.

/** Downloads a task's verified episodes from the hub at `hub`. */
export const fetching = (hub: string, task: string): string => `armshare fetch episodes --task ${task} --hub ${bare(hub)}`

/** Writes them as a data set with pictures; every scene has a camera `side`, and another name gives another view. */
export const ordering = (hub: string, task: string): string =>
  `armshare export episodes/* --to ${task} --format lerobot --camera side --size 320x240 --hub ${bare(hub)}`

const bare = (hub: string): string => hub.replace(/\/+$/, '')

/** Downloads a data set's episodes, whole and signed, each file checked. */
export const downloading = (hub: string, name: string, version: number): string => `armshare download ${name}@${version} --hub ${bare(hub)}`

/** Loads a released version in LeRobot, from this hub instead of Hugging Face's. */
export const loading = (hub: string, name: string, version: number): string =>
  [
    'import os',
    `os.environ["HF_ENDPOINT"] = "${bare(hub)}"`,
    'from lerobot.datasets.lerobot_dataset import LeRobotDataset',
    '',
    `data = LeRobotDataset("${name}", revision="version-${version}")`,
  ].join('\n')

/** Downloads the files of a released version with Hugging Face's own client. */
export const cloning = (hub: string, name: string, version: number): string =>
  `HF_ENDPOINT=${bare(hub)} hf download ${name} --repo-type dataset --revision version-${version}`
