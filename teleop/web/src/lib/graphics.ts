// Whether pictures are drawn by the processor: there is no graphics chip, or the browser may not use it.

let known: boolean | null = null

export function drawsBySoftware(): boolean {
  return (known ??= bySoftware(rendererName()))
}

export const bySoftware = (name: string): boolean => /swiftshader|llvmpipe|softpipe|software|basic render/i.test(name)

function rendererName(): string {
  const gl = document.createElement('canvas').getContext('webgl2')
  const info = gl?.getExtension('WEBGL_debug_renderer_info')
  const name = gl && info ? String(gl.getParameter(info.UNMASKED_RENDERER_WEBGL)) : ''
  gl?.getExtension('WEBGL_lose_context')?.loseContext()
  return name
}
