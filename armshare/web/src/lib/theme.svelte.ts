// Light or dark: as the system says, until a person chooses.

export type Choice = 'auto' | 'light' | 'dark'

const KEPT = 'armshare.theme'
const NEXT: Record<Choice, Choice> = { auto: 'light', light: 'dark', dark: 'auto' }

class Theme {
  choice = $state<Choice>((localStorage.getItem(KEPT) as Choice | null) ?? 'auto')
  readonly #system = matchMedia('(prefers-color-scheme: dark)')
  #systemDark = $state(this.#system.matches)

  constructor() {
    this.#system.addEventListener('change', (event) => (this.#systemDark = event.matches))
    this.#show()
  }

  get dark(): boolean {
    return this.choice === 'dark' || (this.choice === 'auto' && this.#systemDark)
  }

  cycle(): void {
    this.choice = NEXT[this.choice]
    localStorage.setItem(KEPT, this.choice)
    this.#show()
  }

  #show(): void {
    document.documentElement.dataset['theme'] = this.choice
  }
}

export const theme = new Theme()
