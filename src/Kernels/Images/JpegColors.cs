namespace Diffusion.Gpu.Kernels.Images;

/// <summary>What the components of a JPEG image mean.</summary>
internal enum JpegColorSpace
{
    Gray,
    YCbCr,
    Rgb,

    /// <summary>Ink amounts, stored as 255 less the amount, as Adobe's programs do.</summary>
    InvertedCmyk,

    /// <summary>Inverted CMYK whose CMY were turned to YCbCr.</summary>
    InvertedYcck,
}

/// <summary>Brings the planes of a JPEG image to full size and to grey or RGB.</summary>
/// <remarks>libjpeg: "fancy" triangle upsampling of halved chroma, 16 fractional bits in the colour conversion.</remarks>
internal static class JpegColors
{
    /// <summary>Assembles the image.</summary>
    public static PixelImage ToImage(JpegFrame frame, JpegColorSpace space)
    {
        int channels = space == JpegColorSpace.Gray ? 1 : 3;
        var pixels = new byte[checked(frame.Width * frame.Height * channels)];
        // Upsampled rows may run past the image by less than one coded unit.
        byte[][] rows = [.. frame.Components.Select(_ => new byte[frame.UnitsWide * frame.MaxH * 8])];
        for (int y = 0; y < frame.Height; y++)
        {
            for (int i = 0; i < rows.Length; i++)
            {
                UpsampleRow(frame, frame.Components[i], y, rows[i]);
            }

            Convert(rows, space, pixels.AsSpan(y * frame.Width * channels, frame.Width * channels));
        }

        return new PixelImage(frame.Width, frame.Height, channels, pixels);
    }

    private static void UpsampleRow(JpegFrame frame, JpegComponent component, int y, Span<byte> target)
    {
        int scaleX = frame.MaxH / component.H, scaleY = frame.MaxV / component.V, stride = component.BlocksWide * 8;
        int row = y / scaleY;
        var near = component.Plane.AsSpan(row * stride, component.Width);
        // The other row that an output row lies between: above in the upper half of a sample, below in the lower.
        int other = Math.Clamp(y % 2 == 0 ? row - 1 : row + 1, 0, component.Height - 1);
        var far = component.Plane.AsSpan(other * stride, component.Width);
        switch (scaleX, scaleY)
        {
            case (1, 1):
                near.CopyTo(target);
                break;
            case (2, 1) when component.Width > 2:
                UpsampleAcross(near, target);
                break;
            case (2, 2) when component.Width > 2:
                UpsampleBothWays(near, far, target);
                break;
            case (1, 2):
                for (int x = 0; x < near.Length; x++)
                {
                    target[x] = (byte)(((3 * near[x]) + far[x] + 1 + (y % 2)) >> 2);
                }

                break;
            default:
                for (int x = 0; x < near.Length * scaleX; x++)
                {
                    target[x] = near[x / scaleX];
                }

                break;
        }
    }

    /// <summary>Every output sample is 3/4 of the nearer and 1/4 of the farther input; 1/2 is rounded down and up in turn.</summary>
    private static void UpsampleAcross(ReadOnlySpan<byte> source, Span<byte> target)
    {
        int last = source.Length - 1;
        target[0] = source[0];
        target[1] = (byte)(((3 * source[0]) + source[1] + 2) >> 2);
        for (int x = 1; x < last; x++)
        {
            target[2 * x] = (byte)(((3 * source[x]) + source[x - 1] + 1) >> 2);
            target[(2 * x) + 1] = (byte)(((3 * source[x]) + source[x + 1] + 2) >> 2);
        }

        target[2 * last] = (byte)(((3 * source[last]) + source[last - 1] + 1) >> 2);
        target[(2 * last) + 1] = source[last];
    }

    /// <summary>The same in both directions: 9/16, 3/16, 3/16 and 1/16.</summary>
    private static void UpsampleBothWays(ReadOnlySpan<byte> near, ReadOnlySpan<byte> far, Span<byte> target)
    {
        far = far[..near.Length];
        int before, here = (3 * near[0]) + far[0], after = (3 * near[1]) + far[1];
        target[0] = (byte)(((4 * here) + 8) >> 4);
        target[1] = (byte)(((3 * here) + after + 7) >> 4);
        for (int x = 1; x < near.Length - 1; x++)
        {
            (before, here, after) = (here, after, (3 * near[x + 1]) + far[x + 1]);
            target[2 * x] = (byte)(((3 * here) + before + 8) >> 4);
            target[(2 * x) + 1] = (byte)(((3 * here) + after + 7) >> 4);
        }

        int last = 2 * (near.Length - 1);
        target[last] = (byte)(((3 * after) + here + 8) >> 4);
        target[last + 1] = (byte)(((4 * after) + 7) >> 4);
    }

    private static void Convert(byte[][] rows, JpegColorSpace space, Span<byte> target)
    {
        if (space == JpegColorSpace.Gray)
        {
            rows[0].AsSpan(0, target.Length).CopyTo(target);
            return;
        }

        byte[] first = rows[0], second = rows[1], third = rows[2];
        for (int x = 0, at = 0; at < target.Length; x++, at += 3)
        {
            int red = first[x], green = second[x], blue = third[x];
            if (space is JpegColorSpace.YCbCr or JpegColorSpace.InvertedYcck)
            {
                // 1.402, 1.772, 0.34414 and 0.71414, times 65536.
                int y = red, cb = green - 128, cr = blue - 128;
                red = Clip(y + (((91881 * cr) + 32768) >> 16));
                green = Clip(y + (((-22554 * cb) - (46802 * cr) + 32768) >> 16));
                blue = Clip(y + (((116130 * cb) + 32768) >> 16));
            }

            if (space is JpegColorSpace.InvertedCmyk or JpegColorSpace.InvertedYcck)
            {
                // YCCK holds the complement of CMY, so that its RGB is the amount of ink.
                bool isInk = space == JpegColorSpace.InvertedYcck;
                int white = rows[3][x];
                red = Print(isInk ? red : 255 - red, white);
                green = Print(isInk ? green : 255 - green, white);
                blue = Print(isInk ? blue : 255 - blue, white);
            }

            target[at] = (byte)red;
            target[at + 1] = (byte)green;
            target[at + 2] = (byte)blue;
        }
    }

    private static int Clip(int value) => Math.Clamp(value, 0, 255);

    /// <summary>Pillow's CMYK to RGB: the white that black leaves, less ink x white / 255, rounded.</summary>
    private static int Print(int ink, int white)
    {
        int product = (ink * white) + 128;
        return Clip(white - (((product >> 8) + product) >> 8));
    }
}
