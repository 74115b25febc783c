// A panel that hangs under the button that opens it, at every width, and stays there while the page is scrolled.

const GAP_PX = 8
const EDGE_PX = 16

export interface Box {
  left: number
  right: number
  bottom: number
}

/** Where the panel's left edge and top come: right edges in line, unless that would cut it off. */
export function below(button: Box, panelWidth: number, screenWidth: number): { left: number; top: number } {
  const most = Math.max(EDGE_PX, screenWidth - EDGE_PX - panelWidth)
  return { left: Math.min(Math.max(EDGE_PX, button.right - panelWidth), most), top: button.bottom + GAP_PX }
}

/** Hang a popover under the button that names it as its target; an attachment. */
export function hanging(panel: HTMLElement): () => void {
  const hang = () => {
    const button = document.querySelector(`[popovertarget="${panel.id}"]`)
    if (!button || !panel.matches(':popover-open')) return
    const { left, top } = below(button.getBoundingClientRect(), panel.offsetWidth, document.documentElement.clientWidth)
    Object.assign(panel.style, { inset: 'auto', left: `${left}px`, top: `${top}px`, maxHeight: `calc(100dvh - ${top + EDGE_PX}px)` })
  }
  panel.addEventListener('toggle', hang)
  addEventListener('resize', hang)
  addEventListener('scroll', hang, true)
  return () => {
    panel.removeEventListener('toggle', hang)
    removeEventListener('resize', hang)
    removeEventListener('scroll', hang, true)
  }
}
