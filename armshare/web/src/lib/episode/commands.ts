// What to type to check an episode without this page and without believing its hub. Pure.

export interface Commands {
  says: string
  lines: string[]
}

/** The lines for an episode of a hub at this URL. What was withdrawn is not handed out to be used, and stays for audits. */
export function commandsOf(episode: string, hub: string, withdrawn = false): Commands[] {
  return [
    withdrawn ? audited(episode, hub) : { says: 'Take its files, each of them checked:', lines: [`armshare fetch . --episode ${episode} --hub ${hub}`] },
    { says: 'Check all of it on your own machine: every gate, the replay, and the score.', lines: [`armshare verify --score --hub ${hub} ${episode}`] },
    { says: 'Look at the numbers, with nothing of ours:', lines: ['import h5py', `with h5py.File("${episode}/episode.h5") as file:`, '    joints = file["observation/joint_position"][:]', '    print(joints.shape)'] },
  ]
}

function audited(episode: string, hub: string): Commands {
  const files = '{episode.h5,manifest.json,signatures.json,receipt.json,score.json}'
  return { says: 'Take its files, which stay here for audits:', lines: [`curl -f --create-dirs --output-dir ${episode} --remote-name-all "${hub}/api/episodes/${episode}/files/${files}"`] }
}
