// Whether pictures are drawn by the processor: there is no graphics chip, or the browser may not use it.

const KEPT = 'armshare.graphics'
let known: boolean | null = null

/** Then less is drawn, unless this browser was told to draw all (`armshare.graphics` in its local storage is `full`). */
export function drawsBySoftware(): boolean {
  return (known ??= localStorage.getItem(KEPT) !== 'full' && bySoftware(rendererName()))
}

/** This browser draws nothing in 3D: what cannot be seen is not driven. */
export class WebglError extends Error {
  override name = 'WebglError'
}

/** Whether this browser draws in 3D at all. */
export function draws(): boolean {
  const gl = document.createElement('canvas').getContext('webgl2')
  gl?.getExtension('WEBGL_lose_context')?.loseContext()
  return gl !== null
}

export const bySoftware = (name: string): boolean => /swiftshader|llvmpipe|softpipe|software|basic render/i.test(name)

function rendererName(): string {
  const gl = document.createElement('canvas').getContext('webgl2')
  const info = gl?.getExtension('WEBGL_debug_renderer_info')
  const name = gl && info ? String(gl.getParameter(info.UNMASKED_RENDERER_WEBGL)) : ''
  gl?.getExtension('WEBGL_lose_context')?.loseContext()
  return name
}
