// What the pages about data share while this page is open: what was found, and the pictures of it.

import { account } from '../account/account.svelte'
import { previewUrl } from './api'
import { Findings } from './findings.svelte'
import { BROWSER } from './drawing'
import { Posters } from './posters'

export const findings = new Findings(account.api)
export const posters = new Posters((episode, camera) => previewUrl(episode, camera, 'still'), BROWSER)
