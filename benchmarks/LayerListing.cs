using Diffusion.Gpu.Fid;
using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Benchmarks;

/// <summary>A product that a network launches.</summary>
/// <param name="Launch">What is multiplied, and how; without its weights.</param>
/// <param name="Held">Groups that a multiprocessor holds of its kernel at least.</param>
/// <param name="Layer">As the network's weights are named.</param>
internal sealed record LayerProduct(TileLaunch Launch, int Held, string Layer);

/// <summary>Lists the products of a network on a device that computes nothing. A layer is known by its filter, or by the gradient of
/// that.</summary>
internal sealed class LayerListing : IDisposable
{
    private readonly Dictionary<Storage, string> _names = [];
    private readonly List<LayerProduct> _products = [];
    private readonly Device _device;
    private TileLaunch? _next;

    private LayerListing(Precision precision)
        => _device = new Device(GpuBackend.DescribeEmulator(), precision,
            device => new GpuBackend(device, launch => Note(launch.Use)) { Products = launch => _next = launch });

    /// <summary>Of one training step of the default U-Net, in the order of launches.</summary>
    /// <param name="precision">Of the operands.</param>
    /// <param name="image">Height and width in pixels.</param>
    /// <param name="batch">N.</param>
    public static IReadOnlyList<LayerProduct> OfTraining(Precision precision, int image, int batch)
    {
        using var listing = new LayerListing(precision);
        using var unet = new Unet(listing._device, new UnetOptions(), seed: 0);
        unet.Parameters.EnsureGradients();
        foreach (var parameter in unet.Parameters.All.Where(parameter => parameter.IsTrainable))
        {
            string layer = parameter.Name.EndsWith(".weight", StringComparison.Ordinal) ? parameter.Name[..^7] : parameter.Name;
            listing.Name(layer, parameter.Value, parameter.Gradient!);
        }
        var diffusion = new GaussianDiffusion(new DiffusionOptions { ImageSize = image });
        using var tape = listing._device.NewTape();
        tape.Backward(diffusion.Loss(tape, unet, tape.Constant([batch, image, image, 3], new float[batch * image * image * 3]),
            seed: 0, microStep: 0));
        return listing._products;
    }

    /// <summary>Of features of Inception-v3.</summary>
    /// <param name="precision">Of the operands.</param>
    /// <param name="batch">N.</param>
    public static IReadOnlyList<LayerProduct> OfFeatures(Precision precision, int batch)
    {
        using var listing = new LayerListing(precision);
        using var network = new InceptionV3(listing._device, InceptionWeights.Hash());
        foreach (var (layer, filter) in network.Filters)
            listing.Name(layer, filter);
        using var tape = listing._device.NewTape(recording: false);
        network.Features(tape, tape.Constant([batch, InceptionV3.ImageSize, InceptionV3.ImageSize, 3],
            new float[batch * InceptionV3.ImageSize * InceptionV3.ImageSize * 3]));
        return listing._products;
    }

    public void Dispose() => _device.Dispose();

    private void Name(string layer, params ReadOnlySpan<Tensor> weights)
    {
        foreach (var tensor in weights)
            _names[tensor.Identity] = layer;
    }

    /// <summary>The kernel that follows a product is the one that multiplies.</summary>
    private void Note(KernelUse use)
    {
        if (_next is { } launch)
        {
            string layer = launch.Weights is null ? "" : _names[launch.Weights.Identity];
            _products.Add(new LayerProduct(launch with { Weights = null }, use.LeastGroups ?? 1, layer));
        }
        _next = null;
    }
}
