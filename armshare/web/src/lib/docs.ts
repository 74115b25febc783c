// What is written about this platform, as it was when the page was built: for whoever wants to know more.

import contract from '../../../../rewards/chain/contracts/src/RewardVault.sol?url'
import bring from '../../../../docs/tutorials/robot.md?url'
import data from '../../../../docs/tutorials/data.md?url'
import drive from '../../../../docs/tutorials/drive.md?url'
import driving from '../../../../docs/driving.md?url'
import format from '../../../../recorder/FORMAT.md?url'
import glossary from '../../../../docs/glossary.md?url'
import hardware from '../../../../docs/hardware.md?url'
import http from '../../../../docs/http.md?url'
import protocol from '../../../../teleop/PROTOCOL.md?url'
import scoring from '../../../../docs/scoring.md?url'
import trouble from '../../../../docs/troubleshooting.md?url'

export const DOCS: readonly { label: string; href: string }[] = [
  { label: 'Drive and get paid, step by step', href: drive },
  { label: 'If something does not work', href: trouble },
  { label: 'How a score and its pay are made', href: scoring },
  { label: 'Driving from a terminal, by a script or a policy', href: driving },
  { label: 'Bringing a robot of your own', href: bring },
  { label: 'Real arms', href: hardware },
  { label: 'Getting the data, and training with it', href: data },
  { label: 'The episode format', href: format },
  { label: 'The HTTP API', href: http },
  { label: 'The wire protocol, and safety', href: protocol },
  { label: 'The words that are used here', href: glossary },
]

/** The source of the contract that pays. */
export const CONTRACT = contract
