"""One line about each command, for `sentimon --help`. A test holds it to the commands' own help."""

TOUR = {
    "demo": "See the whole pipeline at work on a bundled feed: no account, no key.",
    "init": "Write a commented sentimon.toml.",
    "check": "Say for each brand, source, channel and model what would run and what is wrong.",
    "plugins": "List the kinds of sources and channels.",
    "import": "Store the posts of a CSV or JSON lines file.",
    "export": "Write the stored posts with their labels as CSV or JSON lines.",
    "run": "Collect, score, watch and notify on schedule until stopped.",
    "serve": "Serve the status page.",
    "resume": "Read a paused source again.",
    "trends": "Show how people feel about each brand over time.",
    "alerts": "List negative spikes: what was seen, what was expected, and why it matters.",
    "queue": "List the posts that wait for an answer, worst first.",
    "mentions": "Find stored posts by their words.",
    "status": "Show sources, backlog, last errors and next runs.",
    "score": "Judge posts from a file or standard input, one JSON line each.",
    "evaluate": "Measure the model on labelled posts, beside VADER.",
    "train": "Train the bundled model from a sentence encoder.",
}
