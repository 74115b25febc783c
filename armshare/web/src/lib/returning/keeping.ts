// The drives that this browser can go on with.

import { KeptDrives } from './kept'

export const keptDrives = new KeptDrives(localStorage, sessionStorage)
