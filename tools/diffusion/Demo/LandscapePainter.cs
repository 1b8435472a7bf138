using System.Numerics;
using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Cli.Demo;

/// <summary>
/// Draws small landscapes: a sky at one of four hours, a sun or moon, two ranges of hills and a few pines.
/// </summary>
/// <remarks>Image i is a function of (seed, i). Every image has the same parts in the same order, so that it shows at a glance whether a
/// model has learned them: round disc, smooth sky, hills that lie before each other, trees that stand on the ground.</remarks>
internal sealed class LandscapePainter(ulong seed)
{
    /// <summary>Width and height of an image in pixels.</summary>
    public const int Size = 32;

    private const int SamplesPerAxis = 3;
    private const uint Stream = 0x5CE7E;

    private static readonly Hour[] Hours =
    [
        new(Rgb(66, 84, 150), Rgb(255, 176, 122), Rgb(255, 236, 190), Rgb(96, 84, 118), Rgb(44, 42, 66)), // dawn
        new(Rgb(54, 128, 216), Rgb(190, 226, 248), Rgb(255, 248, 214), Rgb(108, 160, 112), Rgb(40, 104, 58)), // noon
        new(Rgb(84, 40, 104), Rgb(255, 112, 64), Rgb(255, 214, 110), Rgb(122, 52, 84), Rgb(52, 22, 52)), // dusk
        new(Rgb(8, 12, 40), Rgb(42, 58, 108), Rgb(240, 242, 226), Rgb(24, 34, 70), Rgb(8, 14, 34)), // night
    ];

    /// <summary>Paints one image.</summary>
    /// <returns>RGB bytes, [Size, Size, 3].</returns>
    public byte[] Paint(int index)
    {
        var scene = new Scene(seed, (uint)index);
        var pixels = new byte[Size * Size * 3];
        for (int y = 0; y < Size; y++)
        {
            for (int x = 0; x < Size; x++)
            {
                var sum = Vector3.Zero;
                for (int sample = 0; sample < SamplesPerAxis * SamplesPerAxis; sample++)
                {
                    float u = x + ((sample % SamplesPerAxis) + 0.5f) / SamplesPerAxis;
                    float v = y + ((sample / SamplesPerAxis) + 0.5f) / SamplesPerAxis;
                    sum += scene.ColourAt(u, v);
                }
                var colour = Vector3.Clamp(sum / (SamplesPerAxis * SamplesPerAxis), Vector3.Zero, new Vector3(255));
                int at = ((y * Size) + x) * 3;
                pixels[at] = (byte)MathF.Round(colour.X);
                pixels[at + 1] = (byte)MathF.Round(colour.Y);
                pixels[at + 2] = (byte)MathF.Round(colour.Z);
            }
        }
        return pixels;
    }

    private static Vector3 Rgb(int red, int green, int blue) => new(red, green, blue);

    /// <param name="Zenith">Sky at the top.</param>
    /// <param name="Horizon">Sky at the bottom.</param>
    /// <param name="Disc">Sun or moon.</param>
    /// <param name="Far">Hills at the back.</param>
    /// <param name="Near">Hills and trees in front.</param>
    private sealed record Hour(Vector3 Zenith, Vector3 Horizon, Vector3 Disc, Vector3 Far, Vector3 Near);

    private sealed class Scene
    {
        private const int MaxPines = 3;
        private readonly Hour _hour;
        private readonly Vector2 _disc;
        private readonly float _discRadius;
        private readonly Range _far;
        private readonly Range _near;
        private readonly List<Vector3> _pines = []; // x, height, half width

        public Scene(ulong seed, uint index)
        {
            uint number = 0;
            float Draw(float from, float to) => from + ((to - from) * Philox.Uniform(new RandomKey(seed, Stream, 0), index, number++));
            _hour = Hours[(int)Draw(0, Hours.Length)];
            _disc = new Vector2(Draw(6, 26), Draw(5, 13));
            _discRadius = Draw(2.6f, 4.4f);
            _far = new Range(Draw(17, 21), Draw(1.5f, 3.5f), Draw(0.16f, 0.30f), Draw(0, 6.28f));
            _near = new Range(Draw(23, 27), Draw(1, 2.5f), Draw(0.10f, 0.22f), Draw(0, 6.28f));
            int pines = (int)Draw(0, MaxPines + 1);
            for (int i = 0; i < pines; i++)
                _pines.Add(new Vector3(Draw(2, Size - 2), Draw(6, 10), Draw(1.8f, 2.8f)));
        }

        public Vector3 ColourAt(float x, float y)
        {
            if (y > _near.HeightAt(x) || _pines.Exists(pine => IsInPine(pine, x, y)))
                return _hour.Near;
            if (y > _far.HeightAt(x))
                return Vector3.Lerp(_hour.Far, _hour.Horizon, 0.25f * Math.Clamp((_near.HeightAt(x) - y) / 8, 0, 1));
            float distance = Vector2.Distance(new Vector2(x, y), _disc) - _discRadius;
            if (distance <= 0)
                return _hour.Disc;
            var sky = Vector3.Lerp(_hour.Zenith, _hour.Horizon, Math.Clamp(y / 20, 0, 1));
            return Vector3.Lerp(sky, _hour.Disc, 0.45f * MathF.Exp(-distance / 2.5f));
        }

        /// <summary>A triangle whose base lies on the near hills.</summary>
        private bool IsInPine(Vector3 pine, float x, float y)
        {
            float above = _near.HeightAt(pine.X) + 0.5f - y;
            return above >= 0 && above <= pine.Y && MathF.Abs(x - pine.X) <= pine.Z * (1 - (above / pine.Y));
        }
    }

    /// <summary>The skyline of a range of hills; y grows downwards.</summary>
    private readonly record struct Range(float Level, float Amplitude, float Frequency, float Phase)
    {
        public float HeightAt(float x)
            => Level + (Amplitude * MathF.Sin((Frequency * x) + Phase))
                + (0.4f * Amplitude * MathF.Sin((2.3f * Frequency * x) + (2 * Phase)));
    }
}
