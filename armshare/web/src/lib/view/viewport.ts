// The room around the robot: light, floor, grid and the camera. z is up.

import {
  AmbientLight,
  Box3,
  Color,
  DirectionalLight,
  DoubleSide,
  Fog,
  Group,
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
  Vector2,
  Vector3,
  WebGLRenderer,
} from 'three'
import { OrbitControls } from 'three/examples/jsm/controls/OrbitControls.js'
import { cornersOf, type Free, sidesOf, standFor } from './framing'
import { drawsBySoftware } from './graphics'
import { Pace } from './pace'

export interface Palette {
  sky: string
  floor: string
  line: string
  accent: string
  warn: string
  /** Of another drive beside one's own. */
  other: string
  shadow: number
  light: number
}

export const LIGHT: Palette = { sky: '#e3e9e6', floor: '#eef2f0', line: '#9fb0a9', accent: '#0a7d66', warn: '#c47a00', other: '#5a55c8', shadow: 0.2, light: 1 }
export const DARK: Palette = { sky: '#0c1211', floor: '#18211f', line: '#40524c', accent: '#59dcb8', warn: '#f3b95f', other: '#aaa6ff', shadow: 0.5, light: 0.95 }

/** Where one looks from: over the shoulder, from behind, from the side, from above. */
const VIEWS: readonly Vector3[] = [
  new Vector3(-1.02, -1.06, 0.72).normalize(),
  new Vector3(-1.15, -0.1, 1.15).normalize(),
  new Vector3(0.05, -1.45, 0.3).normalize(),
  new Vector3(-0.14, -0.02, 1.75).normalize(),
]
/** How much farther away than what just fits: the arm moves. */
const ROOM = 1.12
export const OVER_THE_SHOULDER = 0
export const FROM_BEHIND = 1
const UP = new Vector3(0, 0, 1)
const FOV_DEG = 36
/** Pixels drawn for each pixel of the page, each way, without a graphics chip; */
const RATIO_SOFTWARE = 0.6
/** and where drawing is slow all the same. */
const RATIO_MIN = 0.4
/** So many slow frames more than fast ones, and less is drawn. */
const SLOW_FRAMES = 8
/** Where the light comes from, seen from the subject, in its radii. */
const SUN = new Vector3(-0.9, -2.2, 3)

const GRID_VERTEX = `
  varying vec2 at;
  void main() {
    vec4 place = modelMatrix * vec4(position, 1.0);
    at = place.xy;
    gl_Position = projectionMatrix * viewMatrix * place;
  }`

/** Lines each 10 cm, stronger each 50 cm, that fade with the distance. */
const GRID_FRAGMENT = `
  varying vec2 at;
  uniform vec3 floorColour, lineColour, skyColour;
  uniform vec2 middle;
  uniform float radius;
  float lines(float pitch) {
    vec2 cell = at / pitch;
    vec2 off = abs(fract(cell - 0.5) - 0.5) / fwidth(cell);
    return 1.0 - min(min(off.x, off.y), 1.0);
  }
  void main() {
    float far = smoothstep(0.8, 4.0, length(at - middle) / radius);
    float line = max(lines(0.1) * 0.28, lines(0.5) * 0.6) * (1.0 - far);
    vec3 colour = mix(floorColour, lineColour, line);
    gl_FragColor = vec4(mix(colour, skyColour, far), 1.0);
    #include <colorspace_fragment>
  }`

export class Viewport {
  readonly scene = new Scene()
  readonly camera = new PerspectiveCamera(FOV_DEG, 1, 0.02, 40)
  readonly renderer: WebGLRenderer
  readonly controls: OrbitControls
  readonly #sun = new DirectionalLight('#ffffff', 2.4)
  readonly #fill = new DirectionalLight('#ffffff', 0.5)
  readonly #sky = new HemisphereLight('#ffffff', '#8a9a93', 1.3)
  readonly #ambient = new AmbientLight('#ffffff', 0.25)
  readonly #fog = new Fog('#ffffff')
  readonly #floor: Mesh<PlaneGeometry, ShaderMaterial>
  readonly #shadow: Mesh<PlaneGeometry, ShadowMaterial>
  readonly #pace = new Pace()
  /** What there is to see, in the frame that a mobile base carries along. */
  #subject = new Box3(new Vector3(-0.2, -0.4, 0), new Vector3(0.8, 0.4, 0.8))
  /** What of it has to be seen. */
  #points: readonly Vector3[] = cornersOf(this.#subject)
  readonly #base = new Vector3()
  #headingRad = 0
  #free: Free = { left: 0, top: 0, width: 1, height: 1 }
  #size = { width: 1, height: 1 }
  #view = 0
  /** The operator has turned the camera, which then stays as it is. */
  #turned = false
  #slowFrames = 0
  #changed = true
  #ratio: number

  constructor(canvas: HTMLCanvasElement) {
    const software = drawsBySoftware()
    this.renderer = new WebGLRenderer({ canvas, antialias: !software, powerPreference: 'high-performance' })
    this.renderer.shadowMap.enabled = true
    this.renderer.shadowMap.type = PCFShadowMap
    this.renderer.toneMapping = NeutralToneMapping
    this.#ratio = software ? RATIO_SOFTWARE : Math.min(devicePixelRatio, 2)
    this.camera.up.copy(UP)
    this.controls = new OrbitControls(this.camera, canvas)
    this.controls.enableDamping = true
    this.controls.dampingFactor = 0.12
    this.controls.maxPolarAngle = Math.PI / 2 - 0.03
    this.controls.minDistance = 0.2
    this.controls.addEventListener('change', () => this.touch())
    this.controls.addEventListener('start', () => (this.#turned = true))
    const colours = { floorColour: { value: new Color() }, lineColour: { value: new Color() }, skyColour: { value: new Color() } }
    const uniforms = { ...colours, middle: { value: new Vector2() }, radius: { value: 1 } }
    const grid = new ShaderMaterial({ vertexShader: GRID_VERTEX, fragmentShader: GRID_FRAGMENT, uniforms })
    this.#floor = new Mesh(new PlaneGeometry(40, 40), grid)
    this.#floor.position.z = -0.002
    this.#shadow = new Mesh(new PlaneGeometry(12, 12), new ShadowMaterial())
    this.#shadow.receiveShadow = true
    this.#shadow.position.z = -0.001
    this.scene.fog = this.#fog
    this.#light()
    this.scene.add(this.#floor, this.#shadow)
    this.frame(this.#points)
  }

  paint(palette: Palette): void {
    const { floorColour, lineColour, skyColour } = this.#floor.material.uniforms
    floorColour?.value.set(palette.floor)
    lineColour?.value.set(palette.line)
    skyColour?.value.set(palette.sky)
    this.scene.background = new Color(palette.sky)
    this.#fog.color.set(palette.sky)
    this.#shadow.material.opacity = palette.shadow
    this.#sun.intensity = 2.4 * palette.light
    this.#sky.intensity = 1.3 * palette.light
    this.touch()
  }

  /** Show these points, which lie in the frame of the base; if a view is given by number, in that view. */
  frame(points: readonly Vector3[], view?: number): void {
    this.#points = points
    this.#subject = new Box3().setFromPoints([...points])
    const radius = this.#radius
    const { uniforms } = this.#floor.material
    if (uniforms.radius) uniforms.radius.value = radius
    this.controls.maxDistance = 8 * radius
    Object.assign(this.#fog, { near: 5 * radius, far: 16 * radius })
    const [near, far] = [0.5 * radius, 6 * radius]
    Object.assign(this.#sun.shadow.camera, { left: -radius, right: radius, top: radius, bottom: -radius, near, far })
    this.#sun.shadow.camera.updateProjectionMatrix()
    this.#ground()
    if (view !== undefined) this.look(view)
    else if (!this.#turned) this.look(this.#view)
  }

  /** Go to a view, by number; the next one if no number is given. */
  look(view = this.#view + 1): void {
    this.#view = view % VIEWS.length
    this.#turned = false
    const from = VIEWS[this.#view] as Vector3
    const half = Math.tan((FOV_DEG * Math.PI) / 360) / (this.#size.height * ROOM)
    const [across, up] = [half * this.#free.width, half * this.#free.height]
    const stand = standFor(this.#points, from, across, up)
    const { right, above } = sidesOf(from)
    const sight = right.multiplyScalar(stand.right).addScaledVector(above, stand.above)
    const middle = this.#subject.getCenter(new Vector3()).dot(from)
    this.controls.target.copy(this.#placed(sight.clone().addScaledVector(from, middle)))
    this.camera.position.copy(this.#placed(sight.addScaledVector(from, stand.away)))
    this.controls.update()
  }

  /** Draw `width` by `height` pixels, with the subject in their free part. */
  resize(width: number, height: number, free: Free): void {
    this.#size = { width: Math.max(1, width), height: Math.max(1, height) }
    this.#free = { ...free, width: Math.max(1, free.width), height: Math.max(1, free.height) }
    this.camera.aspect = this.#size.width / this.#size.height
    const [x, y] = [width / 2 - (free.left + free.width / 2), height / 2 - (free.top + free.height / 2)]
    this.camera.setViewOffset(this.#size.width, this.#size.height, x, y, this.#size.width, this.#size.height)
    this.renderer.setPixelRatio(this.#ratio)
    this.renderer.setSize(width, height, false)
    this.touch()
    if (!this.#turned) this.look(this.#view)
  }

  /** Look along with a base that moves over the floor, so that its forward stays the picture's. */
  follow(x: number, y: number, headingRad: number): void {
    const next = new Vector3(x, y, 0)
    const turn = headingRad - this.#headingRad
    if (turn === 0 && next.equals(this.#base)) return
    for (const point of [this.camera.position, this.controls.target])
      point.sub(this.#base).applyAxisAngle(UP, turn).add(next)
    this.#base.copy(next)
    this.#headingRad = headingRad
    this.#ground()
  }

  /** From the room to the frame that the base carries along. */
  carried(point: Vector3): Vector3 {
    return point.sub(this.#base).applyAxisAngle(UP, -this.#headingRad)
  }

  /** Draw where something changed and it is time to; whether the picture is the newest: never while the graphics are lost. */
  render(nowMs: number): boolean {
    if (this.renderer.getContext().isContextLost()) return false
    this.controls.update()
    if (!this.#changed) {
      this.#pace.rest()
      return true
    }
    if (!this.#pace.due(nowMs)) return false
    this.#economise()
    this.renderer.render(this.scene, this.camera)
    this.#pace.drawn(nowMs)
    this.#changed = false
    return true
  }

  /**
   * When what was just drawn is finished, on the page's clock: `render` only hands it over. Waits for it, and is asked
   * seldom. (A fence tells it too, but only a frame or two later.)
   */
  finished(): number {
    const gl = this.renderer.getContext()
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4))
    return performance.now()
  }

  /** Draw in a headset until its session ends: the person stands where the camera is, and looks at the robot. */
  async present(session: XRSession, frame: () => void): Promise<void> {
    const { xr } = this.renderer
    const eyes = new Group()
    const { x, y } = this.camera.position.clone().sub(this.controls.target).setZ(0).normalize()
    eyes.position.copy(this.controls.target).add(new Vector3(x, y, 0.5))
    eyes.rotation.order = 'ZXY'
    eyes.rotation.set(Math.PI / 2, 0, Math.atan2(x, -y))
    const camera = this.camera.clone()
    eyes.add(camera)
    this.scene.add(eyes)
    xr.enabled = true
    xr.setReferenceSpaceType('local')
    await xr.setSession(session)
    this.renderer.setAnimationLoop(() => {
      frame()
      this.renderer.render(this.scene, camera)
    })
    session.addEventListener('end', () => {
      this.renderer.setAnimationLoop(null)
      xr.enabled = false
      this.scene.remove(eyes)
      this.touch()
    })
  }

  /** Something in the scene is new. */
  touch(): void {
    this.#changed = true
  }

  dispose(): void {
    this.controls.dispose()
    this.renderer.dispose()
    // A browser keeps only so many contexts, and a watched robot may change its task often.
    this.renderer.forceContextLoss()
  }

  /** If frames come slowly for a while, draw fewer pixels, and at last no shadows. */
  #economise(): void {
    this.#slowFrames = this.#pace.slow ? this.#slowFrames + 1 : Math.max(0, this.#slowFrames - 1)
    if (this.#slowFrames < SLOW_FRAMES) return
    this.#slowFrames = 0
    if (this.#ratio > RATIO_MIN) {
      this.#ratio = Math.max(RATIO_MIN, this.#ratio * 0.75)
      this.renderer.setPixelRatio(this.#ratio)
    } else if (this.renderer.shadowMap.autoUpdate) {
      this.#sun.castShadow = false
    }
  }

  #light(): void {
    this.#sun.castShadow = !drawsBySoftware()
    this.#sun.shadow.mapSize.set(2048, 2048)
    this.#sun.shadow.radius = 2.5
    this.#sun.shadow.bias = -0.001
    this.#sun.shadow.normalBias = 0.02
    this.#fill.position.set(-1.5, 1.5, 1.2)
    this.scene.add(this.#sun, this.#sun.target, this.#fill, this.#sky, this.#ambient)
  }

  get #radius(): number {
    return this.#subject.getSize(new Vector3()).length() / 2
  }

  /** The other way. */
  #placed(point: Vector3): Vector3 {
    return point.applyAxisAngle(UP, this.#headingRad).add(this.#base)
  }

  /** The sun and the floor are where the subject is. */
  #ground(): void {
    const middle = this.#placed(this.#subject.getCenter(new Vector3())).setZ(0)
    this.#sun.target.position.copy(middle)
    this.#sun.position.copy(SUN).multiplyScalar(this.#radius).add(middle)
    for (const plane of [this.#floor, this.#shadow]) plane.position.set(middle.x, middle.y, plane.position.z)
    this.#floor.material.uniforms.middle?.value.copy(middle)
  }
}

/** A flat frame on the floor, for the bounds of the workspace. */
export function outline(width: number, depth: number, colour: string): Mesh {
  const material = new MeshBasicMaterial({ color: colour, transparent: true, opacity: 0.06, side: DoubleSide, depthWrite: false })
  return new Mesh(new PlaneGeometry(width, depth), material)
}
