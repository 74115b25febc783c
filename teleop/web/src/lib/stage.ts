// The room around the robot: light, floor, grid and the camera. z is up.

import {
  AmbientLight,
  Color,
  DirectionalLight,
  DoubleSide,
  Fog,
  HemisphereLight,
  Mesh,
  MeshBasicMaterial,
  NeutralToneMapping,
  PCFShadowMap,
  PerspectiveCamera,
  PlaneGeometry,
  Scene,
  ShaderMaterial,
  ShadowMaterial,
  Vector3,
  WebGLRenderer,
} from 'three'
import { OrbitControls } from 'three/examples/jsm/controls/OrbitControls.js'
import { Pace } from './pace'

export interface Palette {
  sky: string
  floor: string
  line: string
  accent: string
  shadow: number
  light: number
}

export const LIGHT: Palette = { sky: '#e3e9e6', floor: '#eef2f0', line: '#9fb0a9', accent: '#0a7d66', shadow: 0.2, light: 1 }
export const DARK: Palette = { sky: '#0c1211', floor: '#18211f', line: '#40524c', accent: '#59dcb8', shadow: 0.5, light: 0.95 }

/** Where one looks from, at what: over the shoulder, from the side, from above; for an arm that reaches REACH_M. */
const REACH_M = 0.75
const VIEWS: readonly [Vector3, Vector3][] = [
  [new Vector3(-0.66, -1.06, 0.98), new Vector3(0.36, 0, 0.26)],
  [new Vector3(0.45, -1.45, 0.45), new Vector3(0.4, 0, 0.24)],
  [new Vector3(0.28, -0.02, 1.75), new Vector3(0.42, 0, 0)],
]

const GRID_VERTEX = `
  varying vec2 at;
  void main() {
    at = position.xy;
    gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
  }`

/** Lines each 10 cm, stronger each 50 cm, that fade with the distance. */
const GRID_FRAGMENT = `
  varying vec2 at;
  uniform vec3 floorColour, lineColour, skyColour;
  float lines(float pitch) {
    vec2 cell = at / pitch;
    vec2 off = abs(fract(cell - 0.5) - 0.5) / fwidth(cell);
    return 1.0 - min(min(off.x, off.y), 1.0);
  }
  void main() {
    float far = smoothstep(0.5, 2.6, length(at - vec2(0.35, 0.0)));
    float line = max(lines(0.1) * 0.28, lines(0.5) * 0.6) * (1.0 - far);
    vec3 colour = mix(floorColour, lineColour, line);
    gl_FragColor = vec4(mix(colour, skyColour, far), 1.0);
    #include <colorspace_fragment>
  }`

export class Stage {
  readonly scene = new Scene()
  readonly camera = new PerspectiveCamera(42, 1, 0.02, 20)
  readonly renderer: WebGLRenderer
  readonly controls: OrbitControls
  readonly #sun = new DirectionalLight('#ffffff', 2.4)
  readonly #fill = new DirectionalLight('#ffffff', 0.5)
  readonly #sky = new HemisphereLight('#ffffff', '#8a9a93', 1.3)
  readonly #ambient = new AmbientLight('#ffffff', 0.25)
  readonly #floor: Mesh<PlaneGeometry, ShaderMaterial>
  readonly #shadow: Mesh<PlaneGeometry, ShadowMaterial>
  readonly #scale: number
  readonly #followed = new Vector3()
  #view = 0
  #slowFrames = 0
  readonly #pace = new Pace()
  #changed = true
  #ratio: number

  /** `reachM` is how far the arm reaches: a small one is looked at from nearer. */
  constructor(canvas: HTMLCanvasElement, reachM: number) {
    this.#scale = Math.min(2, Math.max(0.4, reachM / REACH_M))
    this.renderer = new WebGLRenderer({ canvas, antialias: true, powerPreference: 'high-performance' })
    this.renderer.shadowMap.enabled = true
    this.renderer.shadowMap.type = PCFShadowMap
    this.renderer.toneMapping = NeutralToneMapping
    this.#ratio = Math.min(devicePixelRatio, 2)
    this.camera.up.set(0, 0, 1)
    this.controls = new OrbitControls(this.camera, canvas)
    this.controls.enableDamping = true
    this.controls.dampingFactor = 0.12
    this.controls.maxPolarAngle = Math.PI / 2 - 0.03
    this.controls.minDistance = 0.3
    this.controls.maxDistance = 4
    this.controls.addEventListener('change', () => this.touch())
    const uniforms = { floorColour: { value: new Color() }, lineColour: { value: new Color() }, skyColour: { value: new Color() } }
    const grid = new ShaderMaterial({ vertexShader: GRID_VERTEX, fragmentShader: GRID_FRAGMENT, uniforms })
    this.#floor = new Mesh(new PlaneGeometry(12, 12), grid)
    this.#floor.position.z = -0.002
    this.#shadow = new Mesh(new PlaneGeometry(6, 6), new ShadowMaterial())
    this.#shadow.receiveShadow = true
    this.#shadow.position.z = -0.001
    this.#light()
    this.scene.add(this.#floor, this.#shadow)
    this.look(0)
  }

  paint(palette: Palette): void {
    const { floorColour, lineColour, skyColour } = this.#floor.material.uniforms
    floorColour?.value.set(palette.floor)
    lineColour?.value.set(palette.line)
    skyColour?.value.set(palette.sky)
    this.scene.background = new Color(palette.sky)
    this.scene.fog = new Fog(palette.sky, 3, 9)
    this.#shadow.material.opacity = palette.shadow
    this.#sun.intensity = 2.4 * palette.light
    this.#sky.intensity = 1.3 * palette.light
    this.touch()
  }

  /** Go to a view, by number; the next one where none is given. */
  look(view = this.#view + 1): void {
    this.#view = view % VIEWS.length
    const [from, at] = VIEWS[this.#view] as [Vector3, Vector3]
    const narrow = this.camera.aspect < 0.8 ? 1.35 : 1
    const target = at.clone().multiplyScalar(this.#scale).add(this.#followed)
    this.camera.position.copy(target).addScaledVector(from.clone().sub(at), narrow * this.#scale)
    this.controls.target.copy(target)
    this.controls.update()
  }

  resize(width: number, height: number): void {
    const wasNarrow = this.camera.aspect < 0.8
    this.camera.aspect = width / Math.max(1, height)
    this.camera.updateProjectionMatrix()
    this.renderer.setPixelRatio(this.#ratio)
    this.renderer.setSize(width, height, false)
    this.touch()
    if (wasNarrow !== this.camera.aspect < 0.8) this.look(this.#view)
  }

  /** Look along with what moves over the floor. */
  follow(x: number, y: number): void {
    const step = new Vector3(x, y, 0).sub(this.#followed)
    if (step.lengthSq() === 0) return
    this.#followed.add(step)
    this.camera.position.add(step)
    this.controls.target.add(step)
  }

  /** Draw where something changed and it is time to; whether the picture is the newest. */
  render(nowMs: number): boolean {
    this.controls.update()
    if (!this.#changed) return true
    if (!this.#pace.due(nowMs)) return false
    this.#economise()
    this.renderer.render(this.scene, this.camera)
    this.#pace.drawn(nowMs)
    this.#changed = false
    return true
  }

  /** Something in the scene is new. */
  touch(): void {
    this.#changed = true
  }

  dispose(): void {
    this.controls.dispose()
    this.renderer.dispose()
  }

  /** Where frames come slowly for a while, draw fewer pixels, and at last no shadows. */
  #economise(): void {
    this.#slowFrames = this.#pace.slow ? this.#slowFrames + 1 : Math.max(0, this.#slowFrames - 1)
    if (this.#slowFrames < 20) return
    this.#slowFrames = 0
    if (this.#ratio > 0.6) {
      this.renderer.toneMapping = NeutralToneMapping
    this.#ratio = Math.max(0.6, this.#ratio * 0.75)
      this.renderer.setPixelRatio(this.#ratio)
    } else if (this.renderer.shadowMap.autoUpdate) {
      this.#sun.castShadow = false
    }
  }

  #light(): void {
    this.#sun.position.set(-0.3, -1.6, 2.2).multiplyScalar(this.#scale)
    this.#sun.target.position.set(0.35 * this.#scale, 0, 0)
    this.#sun.castShadow = true
    this.#sun.shadow.mapSize.set(2048, 2048)
    this.#sun.shadow.radius = 2.5
    this.#sun.shadow.bias = -0.001
    this.#sun.shadow.normalBias = 0.02
    const [side, near, far] = [this.#scale, 0.5 * this.#scale, 5 * this.#scale]
    Object.assign(this.#sun.shadow.camera, { left: -side, right: side, top: side, bottom: -side, near, far })
    this.#fill.position.set(-1.5, 1.5, 1.2)
    this.scene.add(this.#sun, this.#sun.target, this.#fill, this.#sky, this.#ambient)
  }
}

/** A flat frame on the floor, for the bounds of the workspace. */
export function outline(width: number, depth: number, colour: string): Mesh {
  const material = new MeshBasicMaterial({ color: colour, transparent: true, opacity: 0.06, side: DoubleSide, depthWrite: false })
  return new Mesh(new PlaneGeometry(width, depth), material)
}
