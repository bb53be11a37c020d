"""What bench/device_check.py tells of its parts."""
import json
import platform


def benchmarks(report):
    """What google-benchmark has written so far, whole or cut."""
    if not report.exists():
        return []
    text = report.read_text()
    try:
        return json.loads(text)["benchmarks"]
    except ValueError:
        pass
    try:
        return json.loads(text.rstrip().rstrip(",") + "]}")["benchmarks"]
    except (ValueError, KeyError):
        return []


def as_text(summary):
    torch = summary.get("of_torch", {})
    lines = [f"t2 {summary['built']['commit']} on {summary['device']}, {summary['began']}, "
             f"torch {torch.get('torch', '?')}: {torch.get('card', platform.processor() or 'CPU')}"]
    if "bf16_tflops" in torch:
        lines.append(f"the card: {torch['bf16_tflops']:.0f} TFLOP/s in bfloat16, "
                     f"{torch['copy_gb_per_s']:.0f} GB/s copied, a launch {torch['launch_us']:.1f} us")
    for part in summary["parts"]:
        lines.append(f"\n{part['name']}: {part['state']}, {part.get('seconds', 0)} of {part['limit']} s")
        for name, found in part.get("results", {}).items():
            count = [f"{list(found.values()).count(s)} {s}" for s in sorted(set(found.values()))]
            lines.append(f"  {name}: {', '.join(count) or 'none ran'}")
        errors = part.get("errors", {})
        for dtype in ("float32", "bfloat16"):
            of = [e for name, e in errors.items() if dtype in name]
            if of:
                lines.append(f"  largest relative error, {dtype}: {max(of):.2g}")
        rate = {}
        for one in part.get("figures", []):
            if "real_time" in one and not one.get("error_occurred"):
                name = one["name"].removesuffix("/real_time").removesuffix("/process_time")
                label = f" ({one['label']})" if one.get("label") else ""
                tokens = one.get("tokens_per_second", 0)
                rate[name] = tokens
                lines.append(f"  {name + label:<68} {one['real_time']:10.2f} {one['time_unit']}"
                             + (f" {tokens:9.0f} tokens/s" if tokens else " " * 19)
                             + f" {one.get('peak_mb', 0):8.0f} MiB")
        for targets in (1, 2):
            name = "decode_mixtures/plan:{}/mixtures:{}/targets:" + str(targets)
            one, eight = rate.get(name.format(1, 1)), rate.get(name.format(2, 8))
            if one and eight:
                lines.append(f"  8 mixtures over 1, {('mlp', 'all')[targets - 1]}: {eight / one:.2f}")
        lines += ["  FAILED " + what[:600] for what in part["failed"]]
        lines += ["  left out " + what for what in part["left_out"]]
    return "\n".join(lines) + "\n"
