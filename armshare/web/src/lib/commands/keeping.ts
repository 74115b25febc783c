// What this browser sent of its episodes.

import { SentCommands } from './sent'

export const sentCommands = new SentCommands(localStorage)
