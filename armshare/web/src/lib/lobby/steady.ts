// Cards that stay where they are: sorted once, when the page is opened, and what comes later goes to the end.

interface Named {
  readonly robot: string
}

/** The robots in the places that they have (`before`, by address), newcomers after them in the order of `first`. */
export function steady<T extends Named>(before: readonly string[], robots: readonly T[], first: (a: T, b: T) => number): T[] {
  const at = new Map(before.map((robot, i) => [robot, i]))
  const place = (robot: T) => at.get(robot.robot) ?? before.length
  return robots.toSorted((a, b) => place(a) - place(b) || first(a, b))
}

/** The places after that: those of robots that are gone for the moment are kept for them. */
export const places = (before: readonly string[], robots: readonly Named[]): string[] => [
  ...before,
  ...robots.map(({ robot }) => robot).filter((robot) => !before.includes(robot)),
]
