// What to type to check an episode without this page and without believing its hub. Pure.

export interface Commands {
  says: string
  lines: string[]
}

/** The lines for an episode of a hub at this URL. */
export function commandsOf(episode: string, hub: string): Commands[] {
  const files = '{episode.h5,manifest.json,signatures.json,receipt.json,score.json}'
  return [
    { says: "Take the files, and whose signatures to trust:", lines: [`curl -f --create-dirs --output-dir ${episode} --remote-name-all "${hub}/api/episodes/${episode}/files/${files}"`, `curl -f -o hub.json "${hub}/api/config"`] },
    { says: 'Check all of it, without the network: every gate, the replay, and the score.', lines: [`armshare verify --score --pins hub.json ${episode}`] },
    { says: 'Look at the numbers, with nothing of ours:', lines: ['import h5py', `with h5py.File("${episode}/episode.h5") as file:`, '    joints = file["observation/joint_position"][:]', '    print(joints.shape)'] },
  ]
}
