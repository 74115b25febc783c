// A robot's own description, loaded for drawing: the URDF, and its meshes with their materials.

import { Color, type Group, LoadingManager, type Material, Mesh, MeshPhongMaterial, MeshStandardMaterial, Object3D, SRGBColorSpace } from 'three'
import { ColladaLoader } from 'three/examples/jsm/loaders/ColladaLoader.js'
import { type MaterialInfo, MTLLoader } from 'three/examples/jsm/loaders/MTLLoader.js'
import { OBJLoader } from 'three/examples/jsm/loaders/OBJLoader.js'
import { STLLoader } from 'three/examples/jsm/loaders/STLLoader.js'
import URDFLoader, { type URDFRobot } from 'urdf-loader'
import { drawsBySoftware } from './graphics'
import { relight } from './normals'
import { simplified } from './simplify'

/** A part of the description could not be had. */
export class ModelError extends Error {
  override name = 'ModelError'
}

/** Is told how many parts are there, and how many there are. */
export type Loading = (loaded: number, all: number) => void

/** Load the URDF and all that it names, each mesh once; resolves when every one is there. */
export async function loadRobot(url: string, told: Loading = () => {}): Promise<URDFRobot> {
  const meshes: Promise<void>[] = []
  const parsed = new Map<string, Promise<Object3D>>()
  const loader = new URDFLoader(new LoadingManager())
  loader.packages = (name: string) => packageRoot(url, name)
  loader.loadMeshCb = (path, _manager, material, done) => {
    const mesh = parsed.get(path) ?? loadMesh(path)
    parsed.set(path, mesh)
    meshes.push(mesh.then((object) => done(dressed(object.clone(), material))))
  }
  const text = await textOf(url)
  loader.workingPath = url.slice(0, url.lastIndexOf('/') + 1)
  const robot = loader.parse(text)
  let loaded = 0
  told(loaded, meshes.length)
  await Promise.all(meshes.map((mesh) => mesh.then(() => told(++loaded, meshes.length))))
  const fine = new Map<Mesh['geometry'], Mesh[]>()
  robot.traverse((object) => {
    if (!(object instanceof Mesh)) return
    soften(object)
    if (!fine.has(object.geometry)) relight(object.geometry)
    fine.set(object.geometry, [...(fine.get(object.geometry) ?? []), object])
  })
  if (drawsBySoftware())
    for (const [geometry, users] of fine) {
      const coarse = await simplified(geometry)
      for (const mesh of users) mesh.geometry = coarse
    }
  return robot
}

/** `package://NAME/…` is the folder NAME on the way to the URDF, or the one beside it; the hub knows packages by name there. */
function packageRoot(url: string, name: string): string {
  const folders = url.split('/').slice(0, -1)
  const at = folders.lastIndexOf(name)
  return at < 0 ? [...folders, name].join('/') : folders.slice(0, at + 1).join('/')
}

/** What a mesh that says nothing of its colour is made of, until it is dressed. */
const BARE = new MeshPhongMaterial()

const dressed = (object: Object3D, material: Material): Object3D => {
  object.traverse((part) => {
    if (part instanceof Mesh) part.material = repaint(part.material, (own) => (own === BARE ? material : own))
  })
  return object
}

async function loadMesh(path: string): Promise<Object3D> {
  const extension = path.slice(path.lastIndexOf('.') + 1).toLowerCase()
  if (extension === 'obj') return loadObj(path)
  if (extension === 'stl') return new Mesh(await new STLLoader().loadAsync(path), BARE)
  if (extension === 'dae') return (await new ColladaLoader().loadAsync(path))?.scene ?? new Object3D()
  throw new ModelError(`No way to draw ${path}: expected .obj, .stl or .dae.`)
}

async function loadObj(path: string): Promise<Group> {
  const text = await textOf(path)
  const group = new OBJLoader().parse(facesOnly(text))
  const library = ownLibrary(path, text)
  const colours = library ? await coloursOf(library) : null
  group.traverse((object) => {
    if (object instanceof Mesh) object.material = repaint(object.material, (own) => colours?.get(own.name) ?? BARE)
  })
  return group
}

/** Colours alone: the textures of robot meshes are mostly baked light, and the light here is our own. */
async function coloursOf(library: string): Promise<Map<string, Material>> {
  const parsed = new MTLLoader().parse(await textOf(library), '')
  const paint = (info: MaterialInfo): Material => {
    const [r = 1, g = 1, b = 1] = info.kd ?? []
    return enamel(new Color().setRGB(r, g, b, SRGBColorSpace))
  }
  // "None" is what Blender writes if a mesh has no material; then the URDF's counts.
  const named = Object.entries(parsed.materialsInfo).filter(([name]) => name !== 'None')
  return new Map(named.map(([name, info]) => [name, paint(info)]))
}

/** Without stray lines and points: one of them would make the loader draw the whole object as lines. */
const facesOnly = (text: string): string => text.replace(/^[lp] .*$/gm, '')

/** The .mtl that has the mesh's own name; files often name others that were never shipped. */
function ownLibrary(path: string, text: string): string | null {
  const named = /^mtllib\s+(\S+)/m.exec(text.slice(0, 4096))?.[1]
  const own = path.replace(/\.obj$/i, '.mtl')
  return named && own.endsWith(`/${named}`) ? own : null
}

const repaint = (own: Material | Material[], paint: (own: Material) => Material): Material | Material[] =>
  Array.isArray(own) ? own.map(paint) : paint(own)

/** Materials that the URDF gives become physical ones too. Its colours are meant as a screen shows them. */
function soften(mesh: Mesh): void {
  mesh.material = repaint(mesh.material, (own) => {
    if (!(own instanceof MeshPhongMaterial)) return own
    return enamel(own.color.clone().convertSRGBToLinear(), own.opacity)
  })
  mesh.castShadow = true
  mesh.receiveShadow = true
}

/** Painted metal: a little off the given colour, so that light still shapes what is white, and what is black. */
const SHEEN = new Color(0.02, 0.02, 0.02)
const enamel = (colour: Color, opacity = 1): MeshStandardMaterial =>
  new MeshStandardMaterial({
    color: colour.multiplyScalar(0.88).add(SHEEN),
    opacity,
    transparent: opacity < 1,
    roughness: 0.55,
    metalness: 0.05,
  })

async function textOf(url: string): Promise<string> {
  const response = await fetch(url)
  if (!response.ok) throw new ModelError(`The robot's description is not complete: ${url} gave ${response.status}.`)
  return response.text()
}
