"""Writes the seed corpus of every fuzz target, from the public-domain portrait.

    python fuzz/seeds.py [FOLDER]      (needs Pillow; FOLDER is fuzz/corpus unless given)
"""

import base64
import io
import struct
import sys
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
PORTRAIT = HERE.parent / "tests/fixtures/astronaut.png"
TINY = HERE.parent / "tests/fixtures/tiny"
PORTRAIT_BOX = (145, 30, 305, 190)  # head and shoulders
SIDE = 80


def save(image, **options):
    file = io.BytesIO()
    image.save(file, **options)
    return file.getvalue()


def exif(orientation, order="<"):
    """A block with the orientation only."""
    magic = b"II" if order == "<" else b"MM"
    head = magic + struct.pack(order + "HI", 42, 8)
    return head + struct.pack(order + "HHHIHHI", 1, 0x112, 3, 1, orientation, 0, 0)


def exif_loop():
    """The next directory of the first one is the first one."""
    return exif(6)[:-4] + struct.pack("<I", 8)


def exif_deep():
    """Every directory holds one entry that points to the next."""
    count, block = 40, bytearray(b"II" + struct.pack("<HI", 42, 8))
    for _ in range(count):
        block += struct.pack("<HHHIII", 1, 0x8769, 4, 1, len(block) + 18, 0)
    return bytes(block)


def boastful(image):
    """A WebP that claims four gibibytes of metadata."""
    file = save(image, format="WEBP", quality=90, exif=exif(1))
    length = file.index(b"EXIF") + 4
    return file[:length] + struct.pack("<I", 0xFFFFFFF0) + file[length + 4 :]


def files(portrait):
    """Name and bytes of the portrait in every format, colour type and compression."""
    grey, rgba = portrait.convert("L"), portrait.convert("RGBA")
    palette, cmyk = portrait.quantize(64), portrait.convert("CMYK")
    sixteen = grey.point(lambda value: value * 257, "I").convert("I;16")
    frames = [portrait.rotate(angle) for angle in (0, 20, 40)]
    black = grey.convert("1")
    baseline = save(portrait, format="JPEG", quality=85)
    yield "baseline.jpg", baseline
    # Where decoders disagree: on the length of an APP0 of four bytes, and on whether a start has a length.
    yield "short.jpg", baseline[:2] + b"\xff\xe0\0\6\0\0\0\0" + baseline[2:]
    yield "false_end.jpg", baseline[:2] + b"\xff\xd8\0\6\xff\xd9\0\0" + baseline[2:]
    yield "subsampled.jpg", save(portrait, format="JPEG", quality=60, subsampling=2)
    yield "full.jpg", save(portrait, format="JPEG", quality=90, subsampling=0)
    yield "progressive.jpg", save(portrait, format="JPEG", quality=80, progressive=True)
    yield "grey.jpg", save(grey, format="JPEG")
    yield "cmyk.jpg", save(cmyk, format="JPEG")
    yield "restart.jpg", save(portrait, format="JPEG", quality=75, restart_marker_blocks=3)
    yield "turned.jpg", save(portrait.rotate(90), format="JPEG", exif=b"Exif\0\0" + exif(6))
    yield "rgb.png", save(portrait, format="PNG")
    yield "rgba.png", save(rgba, format="PNG")
    yield "grey.png", save(grey, format="PNG")
    yield "sixteen.png", save(sixteen, format="PNG")
    yield "palette.png", save(palette, format="PNG")
    yield "bit.png", save(black, format="PNG")
    yield "animated.png", save(portrait, format="PNG", save_all=True, append_images=frames)
    yield "interlaced.png", interlaced(grey)
    yield "lossy.webp", save(portrait, format="WEBP", quality=60)
    yield "lossless.webp", save(portrait, format="WEBP", lossless=True)
    yield "alpha.webp", save(rgba, format="WEBP", quality=60)
    yield "animated.webp", save(portrait, format="WEBP", save_all=True, append_images=frames)
    yield "turned.webp", save(portrait, format="WEBP", exif=exif(3))
    yield "boastful.webp", boastful(portrait)
    yield "rgb.bmp", save(portrait, format="BMP")
    yield "palette.bmp", save(palette, format="BMP")
    yield "bit.bmp", save(black, format="BMP")
    yield "rle.bmp", run_length_bmp(palette)
    yield "one.gif", save(palette, format="GIF")
    yield "animated.gif", save(palette, format="GIF", save_all=True, append_images=frames)
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        yield f"{compression}.tif", save(portrait, format="TIFF", compression=compression)
    yield "cmyk.tif", save(cmyk, format="TIFF")
    yield "sixteen.tif", save(sixteen, format="TIFF")
    yield "float.tif", save(grey.convert("F"), format="TIFF")
    yield "fax.tif", save(black, format="TIFF", compression="group4")
    yield "text.txt", b"no image"


def interlaced(grey):
    """Adam7, which Pillow does not write."""
    import zlib

    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    pixels, raw = grey.load(), bytearray()
    for x0, y0, dx, dy in passes:
        for y in range(y0, grey.height, dy):
            raw += b"\0" + bytes(pixels[x, y] for x in range(x0, grey.width, dx))

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", grey.width, grey.height, 8, 0, 0, 0, 1)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(raw))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def run_length_bmp(palette):
    """RLE8, which Pillow does not write."""
    colours = palette.getpalette()[: 256 * 3]
    colours += [0] * (256 * 3 - len(colours))
    table = b"".join(bytes([b, g, r, 0]) for r, g, b in zip(*[iter(colours)] * 3))
    pixels = palette.load()
    rows = (
        b"".join(bytes([1, pixels[x, y]]) for x in range(palette.width)) + b"\0\0"
        for y in reversed(range(palette.height))
    )
    data = b"".join(rows) + b"\0\1"
    start = 14 + 40 + len(table)
    head = struct.pack("<IiiHHIIiiII", 40, palette.width, palette.height, 1, 8, 1, len(data), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + head + table + data


def json_case(data, threshold=0.0, set_bits=0, base64_form=False, flags=1, pixels=1 << 20, side=4096):
    """As `arbitrary` reads it: the numbers first, and the bytes for the list from what follows."""
    numbers = struct.pack("<fffHIHBHIBB", threshold, 0.5, 0.3, 60000, pixels, side, 0, 56, flags, set_bits, base64_form)
    return numbers + data


def huge_gif():
    """Declares 200 megapixels in 41 bytes."""
    screen = struct.pack("<HHBBB", 20000, 10000, 0x80, 0, 0)
    frame = struct.pack("<HHHHB", 0, 0, 10, 10, 0) + b"\2\2\x4c\1\0"
    return b"GIF87a" + screen + bytes(6) + b"," + frame + b";"


def corpora(portrait):
    images = list(files(portrait))
    small = [(name, data) for name, data in files(portrait.resize((40, 40))) if len(data) < 6000]
    yield "encoded", images
    yield "jpeg", [seed for seed in images if seed[0].endswith(".jpg")]
    yield "base64", [
        *((name, base64.b64encode(data)) for name, data in small),
        *((f"url-{name}", base64.urlsafe_b64encode(data).rstrip(b"=")) for name, data in small),
        ("data-url", b"data:image/jpeg;base64," + base64.encodebytes(small[0][1])),
    ]
    yield "exif", [
        *((f"{order}{turn}", exif(turn, order)) for order in "<>" for turn in range(10)),
        ("loop", exif_loop()),
        ("deep", exif_deep()),
        ("real", real_exif()),
    ]
    yield "pixels", [
        (f"format{layout}", struct.pack("<iIIQIIIBBHI", layout, 79, 79, 0, 1, 0, 48, 0, face, 0, 0))
        for layout in range(8)
        for face in (0, 1)
    ]
    yield "json", [
        *((name, json_case(data)) for name, data in small),
        *((f"base64-{name}", json_case(base64.b64encode(data), 0.7, 1, True)) for name, data in small),
        ("allowed-huge.gif", json_case(huge_gif(), set_bits=0x30, pixels=0xFFFF_FFFF, side=60000)),
    ]
    tiny = ["manifest.json", "detector.onnx", "mask.onnx", "liveness_tight.onnx", "liveness_context.onnx"]
    yield "model", [(name, bytes([at]) + (TINY / name).read_bytes()) for at, name in enumerate(tiny)]


def real_exif():
    """What a camera writes: several directories, texts and fractions."""
    block = Image.Exif()
    block[0x10F], block[0x110], block[0x112] = "Maker", "Model", 8
    block.get_ifd(0x8769).update({0x829A: 0.01, 0x9003: "2026:11:23 12:00:00", 0x927C: b"\0" * 64})
    block.get_ifd(0x8825).update({1: "N", 2: (47.0, 30.0, 0.0)})
    return block.tobytes()[6:]


def main():
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "corpus"
    portrait = Image.open(PORTRAIT).convert("RGB").crop(PORTRAIT_BOX).resize((SIDE, SIDE))
    for name, seeds in corpora(portrait):
        folder = target / name
        folder.mkdir(parents=True, exist_ok=True)
        for seed, data in seeds:
            (folder / seed.replace("<", "little").replace(">", "big")).write_bytes(data)
        print(f"{name}: {len(seeds)} seeds, {sum(len(data) for _, data in seeds)} bytes")


if __name__ == "__main__":
    main()
